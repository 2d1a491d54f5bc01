//! Offers hints that are replacements as quick fixes.

use std::ops::Range;

use super::{
    diagnostics::Found,
    workflow::Workflow,
    yaml::{Node, Style},
};
use windlass_script::closest;

/// A change of one file that fixes a mistake.
#[derive(Debug, PartialEq, Eq)]
pub struct Fix {
    pub title: String,
    pub span: Range<usize>,
    pub new_text: String,
}

/// Returns the replacements in a mistake's hint, with their places.
pub fn fixes(text: &str, found: &Found) -> Vec<Fix> {
    let hint = found.hint.as_deref().unwrap_or_default();
    if let Some(name) = between(hint, "did you mean `", "`") {
        return misspelt(text, found, name).into_iter().collect();
    }
    if hint.starts_with("forgot the `${{ }}`?") {
        return forgotten_mark(text, found).into_iter().collect();
    }
    if found.code == "bad-yaml" && hint.contains("must be in quotes: `\"${{ … }}\"`") {
        return unquoted_expression(text, found).into_iter().collect();
    }
    Vec::new()
}

/// Replaces a misspelt name. It is one of the names in the message, and is at the place of the mistake or after it on the same
/// line: the place of a call is its beginning.
fn misspelt(text: &str, found: &Found, meant: &str) -> Option<Fix> {
    let start = text.floor_char_boundary(found.span.start);
    let end = text.ceil_char_boundary(found.span.end).max(start);
    let mut quoted = found.message.split('`').skip(1).step_by(2);
    // The name in another tool may be quite different from the name here.
    let (wrong, span) = match quoted
        .clone()
        .find(|name| !name.is_empty() && *name == &text[start..end])
    {
        Some(name) => (name, start..end),
        None => {
            let is_near = |name: &&str| {
                !name.is_empty() && *name != meant && closest(name, [meant].into_iter()).is_some()
            };
            let wrong = quoted.find_map(|quoted| quoted.split(['.', ':']).find(is_near))?;
            let line = text[start..].find('\n').map_or(text.len(), |at| start + at);
            let at = start + whole_word(&text[start..end.max(line)], wrong)?;
            (wrong, at..at + wrong.len())
        }
    };
    Some(Fix {
        title: format!("Replace `{wrong}` with `{meant}`"),
        span,
        new_text: meant.to_owned(),
    })
}

fn whole_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut places = text.match_indices(word).map(|(at, _)| at);
    places.find(|at| {
        let (before, after) = (&text[..*at], &text[at + word.len()..]);
        !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

/// Turns a text that equals an existing name into an expression.
fn forgotten_mark(text: &str, found: &Found) -> Option<Fix> {
    let root = Workflow::read(text).root;
    let node = scalar_at(&root, found.span.start)
        .filter(|(_, style)| *style != Style::Block)?
        .0;
    let inside = node.text(text)?.trim();
    Some(Fix {
        title: format!("Change it to the expression `${{{{ {inside} }}}}`"),
        span: node.span.clone(),
        new_text: in_quotes(&format!("${{{{ {inside} }}}}")),
    })
}

/// Adds the quotes that YAML requires around an expression.
fn unquoted_expression(text: &str, found: &Found) -> Option<Fix> {
    let root = Workflow::read(text).root;
    // The parser may report the mistake on the next line.
    let at = text[..text.floor_char_boundary(found.span.end)].rfind("${{");
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end);
    let at = text[found.span.start..line_end(found.span.start)]
        .find("${{")
        .map(|at| found.span.start + at)
        .or(at)?;
    let (node, _) = scalar_at(&root, at).filter(|(_, style)| *style == Style::Plain)?;
    let inside = node.text(text)?;
    let is_whole = inside.starts_with("${{") && inside.ends_with("}}") && !inside.contains('\n');
    is_whole.then(|| Fix {
        title: "Put the expression in quotes".to_owned(),
        span: node.span.clone(),
        new_text: in_quotes(inside),
    })
}

fn scalar_at(root: &Node, offset: usize) -> Option<(Node, Style)> {
    let mut found = None;
    root.scalars(&mut |node, style| {
        if node.span.start <= offset && offset <= node.span.end {
            found = Some((node.clone(), style));
        }
    });
    found
}

/// Returns a text as a YAML scalar, in double quotes if they do not change it.
fn in_quotes(text: &str) -> String {
    if text.contains(['"', '\\']) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("\"{text}\"")
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.find(after).map(|end| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fixed(text: &str, at: &str, code: &'static str, message: &str, hint: &str) -> String {
        let start = text.find(at).expect("the place");
        let found = Found {
            code,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
            span: start..start + at.len(),
            related: Vec::new(),
        };
        let mut text = text.to_owned();
        for fix in fixes(&text.clone(), &found) {
            text.replace_range(fix.span, &fix.new_text);
        }
        text
    }

    #[test]
    fn a_misspelt_name_is_replaced() {
        let step = "there is no step `rot_ca`";
        assert_eq!(
            fixed(
                "x: ${{ steps.rot_ca.arn }} # rot_ca",
                "steps.rot_ca.arn",
                "unknown-step",
                step,
                "did you mean `root_ca`?"
            ),
            "x: ${{ steps.root_ca.arn }} # rot_ca"
        );
        let function = "there is no function `pca::descibe`";
        assert_eq!(
            fixed(
                "let descibed = pca::descibe(a);",
                "pca",
                "unknown-function",
                function,
                "did you mean `describe`?"
            ),
            "let descibed = pca::describe(a);"
        );
        let key = "the step `b` has no key `depends_on`";
        assert_eq!(
            fixed(
                "b: { depends_on: [a] }",
                "depends_on",
                "unknown-key",
                key,
                "did you mean `needs`?"
            ),
            "b: { needs: [a] }"
        );
        // A name that does not occur is not replaced.
        assert_eq!(
            fixed("a: b", "a", "unknown-step", step, "did you mean `root_ca`?"),
            "a: b"
        );
    }

    #[test]
    fn an_expression_gets_its_marks_and_quotes() {
        let hint = "forgot the `${{ }}`? `\"${{ steps.a.b }}\"`; the text itself is `…`";
        assert_eq!(
            fixed(
                "x: [steps.a.b, c]",
                "steps.a.b",
                "bare-expression",
                "",
                hint
            ),
            "x: [\"${{ steps.a.b }}\", c]"
        );
        assert_eq!(
            fixed("when: 'a == \"b\"'", "'a == \"b\"'", "wrong-type", "", hint),
            "when: '${{ a == \"b\" }}'"
        );
        let hint = "an expression that contains special characters of YAML must be in quotes: `\"${{ … }}\"`";
        assert_eq!(
            fixed(
                "with: { n: ${{ params.n }} }\nb: c",
                "}} }",
                "bad-yaml",
                "",
                hint
            ),
            "with: { n: \"${{ params.n }}\" }\nb: c"
        );
    }
}
