//! Splits the text typed at the prompt into statements, functions and the value at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::script::lexer::{Kind, Quoting, Token, lex};

/// One entry, which runs as a whole.
#[derive(Debug, Default, PartialEq)]
pub struct Entry {
    /// The statements, with functions blanked out, so that lines and columns stay the same.
    pub statements: String,
    /// The start of an expression at the end, whose value is shown.
    pub value: Option<usize>,
    /// Whether there are statements besides functions.
    pub runs: bool,
    /// The variables that it declares.
    pub declares: BTreeSet<String>,
    /// All words in it: the variable of an earlier entry is only passed on if one of them names it.
    pub words: BTreeSet<String>,
    /// The functions that it defines, by name and number of parameters.
    pub functions: BTreeMap<String, String>,
}

/// Statements that end with a block, and need no semicolon after it.
const BLOCKS: [&str; 7] = ["if", "switch", "while", "for", "loop", "try", "{"];
/// Statements without a value.
const VALUELESS: [&str; 14] = [
    "let", "const", "import", "export", "while", "for", "loop", "do", "try", "return", "throw",
    "break", "continue", "fn",
];

/// Says whether a text can be run. Otherwise a bracket, a text in backticks or a comment is still open.
pub fn is_complete(text: &str) -> bool {
    open_part(text).is_none()
}

/// Something that begins in a text and does not end in it.
#[derive(Debug, PartialEq)]
pub struct OpenPart {
    /// For people: `the bracket \`[\``.
    pub what: String,
    /// The line in which it begins, from 1.
    pub line: usize,
}

/// Returns the innermost part of a text that is still open: a bracket, a text in backticks or a comment.
pub fn open_part(text: &str) -> Option<OpenPart> {
    let tokens = lex(text, 0..text.len(), Quoting::None);
    let line = |token: &Token| 1 + text[..token.span.start].matches('\n').count();
    let mut brackets = Vec::new();
    for token in &tokens {
        match token.kind {
            Kind::OpenMap | Kind::Sign('{' | '(' | '[') => brackets.push(token),
            // One that closes nothing is a mistake, and no later line corrects it.
            Kind::Sign('}' | ')' | ']') => {
                brackets.pop()?;
            }
            _ => {}
        }
    }
    let last = tokens.last()?;
    let part = &text[last.span.clone()];
    let what = match last.kind {
        Kind::Comment if part.starts_with("/*") && !part.ends_with("*/") => "the comment",
        // A string in quotes ends at the end of its line, even if the closing quote is missing.
        Kind::Text
            if !part.starts_with(['"', '\'']) && (part.len() < 2 || !part.ends_with('`')) =>
        {
            "the string in backticks"
        }
        _ => {
            let bracket = brackets.pop()?;
            return Some(OpenPart {
                what: format!("the bracket `{}`", &text[bracket.span.clone()]),
                line: line(bracket),
            });
        }
    };
    Some(OpenPart {
        what: what.into(),
        line: line(last),
    })
}

/// Splits an entry. It need not be valid: the compiler reports its mistakes.
pub fn read_entry(text: &str) -> Entry {
    let tokens = lex(text, 0..text.len(), Quoting::None);
    let tokens: Vec<_> = tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let word = |token: &Token| &text[token.span.clone()];
    let mut entry = Entry {
        words: tokens
            .iter()
            .filter(|token| token.kind == Kind::Word)
            .map(|token| word(token).to_owned())
            .collect(),
        ..Entry::default()
    };
    let mut statements = text.as_bytes().to_vec();
    let mut last = None;
    for range in split(text, &tokens) {
        let statement = &tokens[range.clone()];
        let [first, ..] = statement else { continue };
        let names: Vec<_> = statement.iter().map(|token| word(token)).collect();
        let is_function = matches!(names[..], ["fn", ..] | ["private", "fn", ..]);
        let span = first.span.start..statement[statement.len() - 1].span.end;
        if is_function {
            let at = 1 + usize::from(names[0] == "private");
            let key = format!("{}/{}", names.get(at).unwrap_or(&""), parameters(&names));
            entry.functions.insert(key, text[span.clone()].to_owned());
            let blanked = statements[span].iter_mut();
            blanked.filter(|c| **c != b'\n').for_each(|c| *c = b' ');
            last = None;
            continue;
        }
        entry.runs = true;
        if let ["let" | "const", name, ..] = names[..] {
            entry.declares.insert(name.to_owned());
        }
        let is_ended = names.last() == Some(&";");
        let gives = !is_ended && !VALUELESS.contains(&names[0]) && !assigns(text, statement);
        last = gives.then_some(span.start);
    }
    entry.value = last;
    // Whole characters were replaced, each by as many blanks as it has bytes.
    entry.statements = String::from_utf8(statements).unwrap_or_else(|_| text.to_owned());
    entry
}

/// Returns the statements, each as a range of tokens, including the semicolon after it.
fn split(text: &str, tokens: &[&Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        let part = &text[token.span.clone()];
        match token.kind {
            Kind::OpenMap | Kind::Sign('{' | '(' | '[') => depth += 1,
            Kind::Sign('}' | ')' | ']') => depth = depth.saturating_sub(1),
            // The code between `${` and `}` belongs to the text around it.
            Kind::Text if !part.starts_with(['"', '\'']) => {
                depth = depth.saturating_sub(usize::from(part.starts_with('}')));
                depth += usize::from(part.ends_with("${"));
            }
            _ => {}
        }
        let first = &text[tokens[start].span.clone()];
        let is_end = match token.kind {
            _ if depth > 0 => false,
            Kind::Sign(';') => true,
            Kind::Sign('}') if BLOCKS.contains(&first) || matches!(first, "fn" | "private") => {
                let next = tokens
                    .get(at + 1)
                    .map(|next| (next.kind, &text[next.span.clone()]));
                match next {
                    Some((Kind::Word, "else" | "catch")) => false,
                    Some((Kind::Sign('{'), _)) | None => true,
                    Some((Kind::Sign(_) | Kind::Path, _)) => false,
                    Some(_) => true,
                }
            }
            _ => false,
        };
        if is_end {
            found.push(start..at + 1);
            start = at + 1;
        }
        if start >= tokens.len() {
            break;
        }
    }
    if start < tokens.len() {
        found.push(start..tokens.len());
    }
    found
}

/// Says whether a statement is an assignment, which has no value: `x = 1`, `x.y += 1`.
fn assigns(text: &str, statement: &[&Token]) -> bool {
    let mut depth = 0_usize;
    statement.iter().any(|token| {
        match token.kind {
            Kind::OpenMap | Kind::Sign('{' | '(' | '[') => depth += 1,
            Kind::Sign('}' | ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 0 || token.kind != Kind::Sign('=') {
            return false;
        }
        let before = &text.as_bytes()[..token.span.start];
        let is_compared = match before {
            [.., b'<', b'<'] | [.., b'>', b'>'] => false,
            [.., b'=' | b'!' | b'<' | b'>'] => true,
            _ => false,
        };
        !is_compared && !text[token.span.end..].starts_with(['=', '>'])
    })
}

/// Counts the parameters of a function, which are in its first brackets.
fn parameters(names: &[&str]) -> usize {
    let inside = names.iter().skip_while(|name| **name != "(").skip(1);
    let inside: Vec<_> = inside.take_while(|name| **name != ")").collect();
    if inside.is_empty() {
        0
    } else {
        1 + inside.iter().filter(|name| ***name == ",").count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_bracket_text_or_comment_is_not_complete() {
        for text in [
            "1 + 1",
            "let x = #{ a: [1, 2] };",
            "`a ${b} c`",
            "\"never closed",
            "// {",
            "/* { */ 1",
            "fn f(a) { a }",
            "}",
            "",
        ] {
            assert!(is_complete(text), "{text}");
        }
        for text in [
            "let x = #{",
            "f(1,",
            "`a",
            "`",
            "`a ${b",
            "`a ${b} c",
            "/* a",
            "fn f(a) {",
            "if a { 1 } else {",
        ] {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn what_is_open_is_named_with_its_line() {
        for (text, what, line) in [
            ("let x = [1,\n 2", "the bracket `[`", 1),
            ("f(1);\ng(#{ a: (1)", "the bracket `#{`", 2),
            ("f(`a\n", "the string in backticks", 1),
            ("1;\n/* a\n", "the comment", 2),
        ] {
            let found = open_part(text).expect("open");
            assert_eq!((&*found.what, found.line), (what, line), "{text}");
        }
        // No later line makes it right.
        assert_eq!(open_part("1) + (2"), None);
    }

    #[test]
    fn only_an_expression_at_the_end_gives_a_value() {
        let value = |text: &str| read_entry(text).value.map(|at| text[at..].to_owned());
        assert_eq!(value("1 + 1").as_deref(), Some("1 + 1"));
        assert_eq!(value("let x = 1; x * 2").as_deref(), Some("x * 2"));
        assert_eq!(
            value("if a { 1 } else { 2 }").as_deref(),
            Some("if a { 1 } else { 2 }")
        );
        assert_eq!(value("if a { 1 } b").as_deref(), Some("b"));
        assert_eq!(
            value("let f = |x| { x; 1 }; f.call(2)").as_deref(),
            Some("f.call(2)")
        );
        assert_eq!(
            value("\";\" + `;${1;}`").as_deref(),
            Some("\";\" + `;${1;}`")
        );
        for (text, gives) in [
            ("x = 1", false),
            ("x.y += 1", false),
            ("x[1] <<= 2", false),
            ("x == 1", true),
            ("x <= 1 && y != 2", true),
            ("f(|x| { y = x; y })", true),
        ] {
            assert_eq!(value(text).is_some(), gives, "{text}");
        }
        for text in ["1;", "let x = 1", "for x in y { 1 }", "throw 1", "", "// 1"] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn functions_and_names_are_found_and_lines_stay() {
        let entry = read_entry("fn add(a, b) {\n  a + b\n}\nlet x = 1; const Y = 2;\nadd(x, Y)");
        assert_eq!(entry.functions["add/2"], "fn add(a, b) {\n  a + b\n}");
        assert_eq!(
            entry.statements.lines().nth(3),
            Some("let x = 1; const Y = 2;")
        );
        assert!(
            entry
                .statements
                .lines()
                .take(3)
                .all(|line| line.trim().is_empty())
        );
        assert_eq!(entry.declares, ["x", "Y"].map(String::from).into());
        assert!(entry.runs && !read_entry("fn f() { 1 } // g").runs);
        let accents = read_entry("fn é() { \"ü\" }\nf(1)");
        assert_eq!(accents.statements.lines().nth(1), Some("f(1)"));
    }
}
