//! Where a workflow file can be altered so that it is another workflow, for tests of its tests.

use std::{ops::Range, sync::Arc};

use super::document::{self, Key, Kind, Node, Style};

/// A part of a workflow file that can be altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alterable {
    /// The `when` of a step, with its quotes.
    Condition { step: String, span: Range<usize> },
    /// An output, with all of its lines.
    Output { name: String, span: Range<usize> },
    /// The body of a step, which is a script.
    Body { span: Range<usize> },
}

/// Finds what can be altered in a workflow file; nothing in one that is no YAML.
pub fn alterable(file: &str, text: &str) -> Vec<Alterable> {
    let (file, text): (Arc<str>, Arc<str>) = (file.into(), text.into());
    let Ok(root) = document::parse(&file, &text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (section, node) in entries(&root) {
        match &*section.name {
            "steps" | "finally" => {
                for (step, node) in entries(node) {
                    found.extend(of_step(step, node, &text));
                }
            }
            "outputs" => {
                let outputs = entries(node).iter().filter_map(|(key, _)| {
                    let span = lines_of(&text, key)?;
                    Some(Alterable::Output {
                        name: key.name.clone(),
                        span,
                    })
                });
                found.extend(outputs);
            }
            _ => {}
        }
    }
    found
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    }
}

fn of_step(step: &Key, node: &Node, text: &str) -> Vec<Alterable> {
    let fields = entries(node).iter().filter_map(|(key, node)| {
        let Kind::Scalar { style, .. } = &node.kind else {
            return None;
        };
        match (&*key.name, style) {
            ("when", Style::Block) => None,
            ("when", _) => Some(Alterable::Condition {
                step: step.name.clone(),
                span: with_quotes(text, node.span.clone()),
            }),
            ("run", Style::Block) => Some(Alterable::Body {
                span: node.span.clone(),
            }),
            _ => None,
        }
    });
    fields.collect()
}

fn with_quotes(text: &str, span: Range<usize>) -> Range<usize> {
    let is_quote = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'"' | b'\''));
    let bytes = text.as_bytes();
    let before = span.start.checked_sub(1).and_then(|at| bytes.get(at));
    match is_quote(before) && is_quote(bytes.get(span.end)) {
        true => span.start - 1..span.end + 1,
        false => span,
    }
}

/// The lines of an entry of a map in block style: its own, and those below it that are further in.
fn lines_of(text: &str, key: &Key) -> Option<Range<usize>> {
    let start = text[..key.span.start].rfind('\n').map_or(0, |at| at + 1);
    let indentation = &text[start..key.span.start];
    if !indentation.chars().all(|c| c == ' ') {
        return None;
    }
    let mut end = start;
    for (number, line) in text[start..].split_inclusive('\n').enumerate() {
        let inner = line.len() - line.trim_start_matches(' ').len();
        if number > 0 && !line.trim().is_empty() && inner <= indentation.len() {
            break;
        }
        end += line.len();
    }
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_outputs_and_bodies_are_found() {
        let text = "workflow: w\nsteps:\n  a:\n    when: \"${{ true }}\"\n    run: |\n      #{ n: 1 }\n  b:\n    when: ${{ false }}\n    script: b.rhai\noutputs:\n  one: ${{ steps.a.n }}\n  two:\n    - 1\n    - 2\n";
        let shown: Vec<_> = alterable("w.yaml", text)
            .into_iter()
            .map(|one| match one {
                Alterable::Condition { span, .. }
                | Alterable::Output { span, .. }
                | Alterable::Body { span } => text[span].trim().to_owned(),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "\"${{ true }}\"",
                "#{ n: 1 }",
                "${{ false }}",
                "one: ${{ steps.a.n }}",
                "two:\n    - 1\n    - 2"
            ]
        );
    }
}
