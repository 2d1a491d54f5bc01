//! Finds the places where a workflow file can be altered into another valid workflow, for `windlass test --mutate`.

use std::{ops::Range, sync::Arc};

use super::document::{self, Key, Kind, Node, Style};

/// A part of a workflow file that can be altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alterable {
    /// The `when` of a step, with its quotes.
    Condition { step: String, span: Range<usize> },
    /// An output, with all of its lines.
    Output { name: String, span: Range<usize> },
    /// The body of a step, if it is a script.
    Body { span: Range<usize> },
    /// An entry that can be left out, with its comma or all of its lines: `needs` of a step, an input, the default of a
    /// param.
    Entry { what: String, span: Range<usize> },
}

/// Keys that are only for people, and keys that a workflow can't be without.
const KEPT: [&str; 10] = [
    "description",
    "workflow",
    "params",
    "steps",
    "outputs",
    "finally",
    "script",
    "run",
    "approval",
    "type",
];

/// Keys whose effect a test does not show: a test has one run, which is started without a trigger and is not resumed, and its
/// clock ends no attempt.
const UNSEEN: [&str; 5] = ["concurrency", "fresh", "lock", "timeout", "triggers"];

/// Finds the places in a workflow file that can be altered; returns none if the file is not YAML.
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
                    let what = format!("the step `{}`", step.name);
                    found.extend(entry(&text, step, what));
                    found.extend(of_step(step, node, &text));
                }
            }
            "params" => {
                for (param, node) in entries(node) {
                    for (key, _) in entries(node).iter().filter(|(key, _)| can_go(key)) {
                        let what = format!("`{}` of the param `{}`", key.name, param.name);
                        found.extend(entry(&text, key, what));
                    }
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
            // The keys of phases are for people.
            "phases" => {}
            name if can_go(section) && !name.starts_with("x-") => {
                found.extend(entry(&text, section, format!("`{name}`")));
            }
            _ => {}
        }
    }
    found
}

fn can_go(key: &Key) -> bool {
    !KEPT.contains(&&*key.name) && !UNSEEN.contains(&&*key.name)
}

fn entry(text: &str, key: &Key, what: String) -> Option<Alterable> {
    let span = lines_of(text, key).or_else(|| part_of(text, key))?;
    Some(Alterable::Entry { what, span })
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    }
}

fn of_step(step: &Key, node: &Node, text: &str) -> Vec<Alterable> {
    let of = |name: &str| format!("`{name}` of the step `{}`", step.name);
    let mut found = Vec::new();
    for (key, node) in entries(node) {
        match &*key.name {
            // `when` is altered, not left out.
            "when" => {}
            "with" => {
                for (input, _) in entries(node) {
                    let what = format!("the input {}", of(&input.name));
                    found.extend(entry(text, input, what));
                }
            }
            "retry" => {
                found.extend(entry(text, key, of("retry")));
                for (part, _) in entries(node)
                    .iter()
                    .filter(|(part, _)| part.name != "backoff")
                {
                    found.extend(entry(text, part, of(&format!("retry.{}", part.name))));
                }
            }
            name if can_go(key) => found.extend(entry(text, key, of(name))),
            _ => {}
        }
    }
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
    found.extend(fields);
    found
}

fn with_quotes(text: &str, span: Range<usize>) -> Range<usize> {
    let is_quote = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'"' | b'\''));
    let bytes = text.as_bytes();
    let before = span.start.checked_sub(1).and_then(|at| bytes.get(at));
    if is_quote(before) && is_quote(bytes.get(span.end)) {
        span.start - 1..span.end + 1
    } else {
        span
    }
}

/// Returns the lines of an entry of a map in block style: its own line, and the lines with deeper indentation below it.
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

/// Returns an entry of a map in flow style, with the comma after it, or else the one before it.
fn part_of(text: &str, key: &Key) -> Option<Range<usize>> {
    let start = with_quotes(text, key.span.clone()).start;
    let (mut depth, mut quote, mut end) = (0, None, None);
    let mut chars = text[start..].char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            // Skips the escaped character.
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            // Inside a plain word, a quote is an ordinary character.
            (None, '"' | '\'') if begins_a_word(&text[..start + at]) => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') if depth > 0 => depth -= 1,
            (None, ',' | '}' | ']') if depth == 0 => {
                end = Some((start + at, c));
                break;
            }
            _ => {}
        }
    }
    let (end, closed_by) = end?;
    if closed_by == ',' {
        let blanks = text[end + 1..].len() - text[end + 1..].trim_start().len();
        return Some(start..end + 1 + blanks);
    }
    let before = text[..start].trim_end();
    Some(match before.strip_suffix(',') {
        Some(before) => before.len()..end,
        None => start..end,
    })
}

fn begins_a_word(before: &str) -> bool {
    before
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || matches!(c, '{' | '[' | ',' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_with_their_lines_or_their_commas() {
        let text = "workflow: w\nlock: l\nkube: [c]\nparams:\n  a: { type: string, default: \"x, y}\", description: d }\n  b: string\nsteps:\n  one:\n    \
            script: a.rhai\n    with: { b: \"${{ params.b }}\", c: [1, 2] }\n    retry: { attempts: 3, backoff: 1s..2s }\n  two:\n    needs: [one]\n    \
            run: |\n      #{}\n    with:\n      d: >-\n        long\n        text\n    timeout: 5m\n";
        let found = alterable("w.yaml", text);
        let shown: Vec<_> = found
            .iter()
            .filter_map(|one| match one {
                Alterable::Entry { what, span } => Some((what.as_str(), &text[span.clone()])),
                _ => None,
            })
            .collect();
        assert_eq!(
            shown[..8],
            [
                ("`kube`", "kube: [c]\n"),
                ("`default` of the param `a`", "default: \"x, y}\", "),
                (
                    "the step `one`",
                    "  one:\n    script: a.rhai\n    with: { b: \"${{ params.b }}\", c: [1, 2] }\n    retry: { attempts: 3, backoff: 1s..2s }\n"
                ),
                (
                    "the input `b` of the step `one`",
                    "b: \"${{ params.b }}\", "
                ),
                ("the input `c` of the step `one`", ", c: [1, 2] "),
                (
                    "`retry` of the step `one`",
                    "    retry: { attempts: 3, backoff: 1s..2s }\n"
                ),
                ("`retry.attempts` of the step `one`", "attempts: 3, "),
                (
                    "the step `two`",
                    "  two:\n    needs: [one]\n    run: |\n      #{}\n    with:\n      d: >-\n        long\n        text\n    timeout: 5m\n"
                ),
            ]
        );
        assert_eq!(
            shown[8..],
            [
                ("`needs` of the step `two`", "    needs: [one]\n"),
                (
                    "the input `d` of the step `two`",
                    "      d: >-\n        long\n        text\n"
                ),
            ]
        );
        // The rest is valid YAML each time.
        for one in &found {
            if let Alterable::Entry { what, span } = one {
                let mut left = text.to_owned();
                left.replace_range(span.clone(), "");
                let file: Arc<str> = "w.yaml".into();
                assert!(
                    document::parse(&file, &left.as_str().into()).is_ok(),
                    "{what}: {left}"
                );
            }
        }
    }

    #[test]
    fn conditions_outputs_and_bodies_are_found() {
        let text = "workflow: w\nsteps:\n  a:\n    when: \"${{ true }}\"\n    run: |\n      #{ n: 1 }\n  b:\n    when: ${{ false }}\n    script: b.rhai\noutputs:\n  one: ${{ steps.a.n }}\n  two:\n    - 1\n    - 2\n";
        let shown: Vec<_> = alterable("w.yaml", text)
            .into_iter()
            .filter_map(|one| match one {
                Alterable::Condition { span, .. }
                | Alterable::Output { span, .. }
                | Alterable::Body { span } => Some(text[span].trim().to_owned()),
                Alterable::Entry { .. } => None,
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
