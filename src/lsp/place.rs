//! Finds the key or value of a workflow file that contains a byte, even if nothing is written there yet.

use std::ops::Range;

use super::yaml::{Entry, Kind, Node};
use windlass_compile::{FileKey, Form, SECTIONS, Section};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The keys that lead there; for a value, including its own key.
    pub path: Vec<String>,
    pub is_key: bool,
    /// The other keys of the same map.
    pub beside: Vec<String>,
    /// The part that has been typed.
    pub word: Range<usize>,
    /// Whether it is inside of `{…}` or `[…]`.
    pub is_flow: bool,
}

/// Returns the place of a byte.
pub fn place_at(text: &str, root: &Node, offset: usize) -> Place {
    let word = word_before(text, offset);
    if let Some(place) = in_flow(text, root, offset, &word, &mut Vec::new()) {
        return place;
    }
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let head = &text[line_start..offset];
    let indent = head.len() - head.trim_start_matches([' ', '\t']).len();
    let content = &head[indent..];
    let mut blocks = Vec::new();
    block_entries(root, &mut blocks);
    // A map may begin after the dash of an item.
    let dashes = content.len() - content.trim_start_matches(['-', ' ']).len();
    let is_item = content.starts_with("- ") || content == "-";
    let column = if is_item { indent + dashes } else { indent };
    // The key of this line, if its colon has been typed.
    let own = blocks.iter().find(|entry| {
        let begins =
            line_start + column == entry.key.start || line_start + column + 1 == entry.key.start;
        begins && entry.colon.is_some_and(|colon| colon <= offset)
    });
    let above = blocks.iter().filter(|entry| entry.key.start < line_start);
    let mut stack: Vec<&Entry> = Vec::new();
    for entry in above {
        stack.retain(|above| above.indent < entry.indent);
        stack.push(entry);
    }
    let at = match (own, is_item) {
        // An item may be in the column of its list's key.
        (None, true) => Some(indent + 1),
        _ => Some(column),
    };
    stack.retain(|above| above.indent < at);
    let mut path: Vec<_> = stack
        .iter()
        .map(|entry| text[entry.key.clone()].to_owned())
        .collect();
    let siblings = match stack.last() {
        Some(parent) => parent.value.entries(),
        None => root.entries(),
    };
    let beside = keys(text, siblings, &word);
    if let Some(own) = own {
        path.push(text[own.key.clone()].to_owned());
        return Place {
            path,
            is_key: false,
            beside,
            word,
            is_flow: false,
        };
    }
    // A scalar may continue below its key.
    let goes_on = stack.last().is_some_and(|parent| match parent.value.kind {
        Kind::Scalar(_) => parent.value.span.start < offset && offset <= parent.value.span.end,
        _ => false,
    });
    Place {
        path,
        is_key: !goes_on && !is_item,
        beside,
        word,
        is_flow: false,
    }
}

/// Returns the innermost `{…}` or `[…]` around a byte.
fn in_flow(
    text: &str,
    node: &Node,
    offset: usize,
    word: &Range<usize>,
    path: &mut Vec<String>,
) -> Option<Place> {
    let is_flow =
        text[node.span.clone()].starts_with(['{', '[']) && !matches!(node.kind, Kind::Scalar(_));
    let is_closed = text[..node.span.end].ends_with(['}', ']']);
    let is_inside = node.span.start < offset
        && (offset < node.span.end || (!is_closed && offset <= node.span.end));
    if is_flow && !is_inside {
        return None;
    }
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let behind = entry.colon.is_some_and(|colon| colon <= offset);
                if !behind {
                    continue;
                }
                path.push(text[entry.key.clone()].to_owned());
                let inner = in_flow(text, &entry.value, offset, word, path);
                if inner.is_some() {
                    return inner;
                }
                let ends = entry.value.span.end.max(entry.colon.unwrap_or(0));
                let blank = &text[ends.min(offset)..offset];
                if is_flow && (offset <= ends || blank.chars().all(|c| c == ' ')) {
                    let beside = keys(text, entries, word);
                    return Some(Place {
                        path: path.clone(),
                        is_key: false,
                        beside,
                        word: word.clone(),
                        is_flow: true,
                    });
                }
                path.pop();
            }
            is_flow.then(|| Place {
                path: path.clone(),
                is_key: true,
                beside: keys(text, entries, word),
                word: word.clone(),
                is_flow: true,
            })
        }
        Kind::List(items) => {
            let inner = items
                .iter()
                .find_map(|item| in_flow(text, item, offset, word, path));
            inner.or_else(|| {
                is_flow.then(|| Place {
                    path: path.clone(),
                    is_key: false,
                    beside: items
                        .iter()
                        .filter_map(|item| item.text(text))
                        .map(str::to_owned)
                        .collect(),
                    word: word.clone(),
                    is_flow: true,
                })
            })
        }
        _ => None,
    }
}

fn keys(text: &str, entries: &[Entry], word: &Range<usize>) -> Vec<String> {
    // The key that is being typed does not count.
    let others = entries.iter().filter(|entry| entry.key.start != word.start);
    others
        .map(|entry| text[entry.key.clone()].to_owned())
        .collect()
}

fn block_entries<'n>(node: &'n Node, found: &mut Vec<&'n Entry>) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries.iter().filter(|entry| entry.indent.is_some()) {
                found.push(entry);
                block_entries(&entry.value, found);
            }
        }
        Kind::List(items) => items.iter().for_each(|item| block_entries(item, found)),
        _ => {}
    }
}

/// Returns the text right before a byte: a name, a path, a template.
fn word_before(text: &str, offset: usize) -> Range<usize> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let head = &text[..offset];
    let start = head.rfind(|c| !is_part(c)).map_or(0, |at| {
        at + head[at..].chars().next().map_or(1, char::len_utf8)
    });
    // The dash of an item does not belong to it.
    let start = if head[start..].starts_with('-') {
        start + 1
    } else {
        start
    };
    start.min(offset)..offset
}

/// Returns the map of a workflow file at the end of a path of keys, from the table of keys.
pub fn section_at(path: &[String]) -> Option<&'static Section> {
    let named = |name: &str| SECTIONS.into_iter().find(|section| section.name == name);
    let mut section = named("workflow")?;
    let mut path = path.iter();
    while let Some(name) = path.next() {
        section = match section.key(name)?.form {
            Form::Section(inner) | Form::Sections(inner) => inner,
            // The next part is a name of the author's own.
            Form::Steps => path.next().and_then(|_| named("step"))?,
            Form::Params => path.next().and_then(|_| named("param"))?,
            Form::Phases => path.next().and_then(|_| named("phase"))?,
            _ => return None,
        };
    }
    Some(section)
}

/// Returns the key at the end of a path of keys, and the map that contains it.
pub fn file_key_at(path: &[String]) -> Option<(&'static Section, &'static FileKey)> {
    let (name, above) = path.split_last()?;
    let section = section_at(above)?;
    Some((section, section.key(name)?))
}

/// Returns the keys that lead to the key at a byte, including that key.
pub fn key_at(text: &str, root: &Node, offset: usize) -> Option<(Vec<String>, Range<usize>)> {
    fn find(
        text: &str,
        node: &Node,
        offset: usize,
        path: &mut Vec<String>,
    ) -> Option<Range<usize>> {
        for item in node.items() {
            if let Some(span) = find(text, item, offset, path) {
                return Some(span);
            }
        }
        for entry in node.entries() {
            path.push(text[entry.key.clone()].to_owned());
            if entry.key.start <= offset && offset <= entry.key.end {
                return Some(entry.key.clone());
            }
            if entry.span().contains(&offset)
                && let Some(span) = find(text, &entry.value, offset, path)
            {
                return Some(span);
            }
            path.pop();
        }
        None
    }
    let mut path = Vec::new();
    find(text, root, offset, &mut path).map(|span| (path, span))
}

/// Says whether a value of this form is a map that is written below the key.
pub fn is_below(form: &Form) -> bool {
    matches!(
        form,
        Form::Section(_)
            | Form::Sections(_)
            | Form::Templates
            | Form::Params
            | Form::Phases
            | Form::Steps
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::outline;

    /// Returns the place of the cursor `^`: `steps/a/with:` for a value, `steps/a/` for a key.
    fn shown(marked: &str) -> String {
        let offset = marked.find('^').expect("a cursor");
        let text = marked.replace('^', "");
        let place = place_at(&text, &outline(&text), offset);
        format!(
            "{}{} {}",
            place.path.join("/"),
            if place.is_key { "/" } else { ":" },
            &text[place.word]
        )
    }

    #[test]
    fn a_place_is_known_by_its_indentation() {
        let file = "workflow: w\nsteps:\n  a:\n    run: ()\n    ";
        assert_eq!(shown("^"), "/ ");
        assert_eq!(shown("work^"), "/ work");
        assert_eq!(shown(&format!("{file}^")), "steps/a/ ");
        assert_eq!(
            shown(&format!("{file}wi^\n  b:\n    run: ()\n")),
            "steps/a/ wi"
        );
        assert_eq!(shown(&format!("{file}needs: [x, ^\n")), "steps/a/needs: ");
        assert_eq!(
            shown(&format!("{file}needs:\n      - x^\n")),
            "steps/a/needs: x"
        );
        assert_eq!(
            shown(&format!("{file}needs:\n    - ^\n")),
            "steps/a/needs: "
        );
        assert_eq!(shown(&format!("{file}on_error: c^")), "steps/a/on_error: c");
        assert_eq!(shown(&format!("{file}on_error: ^\n")), "steps/a/on_error: ");
        assert_eq!(
            shown(&format!("{file}with:\n      ^\n  b: {{}}\n")),
            "steps/a/with/ "
        );
        assert_eq!(
            shown(&format!("{file}with: {{ x: 1, y^ }}\n")),
            "steps/a/with/ y"
        );
        assert_eq!(shown(&format!("{file}with: {{ x: ^\n")), "steps/a/with/x: ");
        assert_eq!(shown(&format!("{file}with: {{ ^ }}\n")), "steps/a/with/ ");
        assert_eq!(shown("steps: { a: { scr^ } }"), "steps/a/ scr");
        assert_eq!(
            shown(&format!("{file}with:\n      x: 1\n  ^\n  b: {{}}\n")),
            "steps/ "
        );
        assert_eq!(
            shown(&format!("{file}with:\n      x: 1\n^\noutputs: {{}}\n")),
            "/ "
        );
        assert_eq!(
            shown(&format!("{file}retry: {{ on: [th^\n  b:\n    run: ()\n")),
            "steps/a/retry/on: th"
        );
        assert_eq!(
            shown(&format!("{file}script: steps/x^.rhai")),
            "steps/a/script: steps/x"
        );
    }

    #[test]
    fn keys_have_their_section() {
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            file_key_at(&path("steps/a/retry/on")).map(|(section, key)| (section.name, key.name)),
            Some(("retry", "on"))
        );
        assert_eq!(
            file_key_at(&path("params/x/type")).map(|(section, _)| section.name),
            Some("param")
        );
        assert!(file_key_at(&path("steps/a/with/x")).is_none());
        let text = "steps:\n  a: { retry: { on: any } }\n";
        let at = text.find("on:").expect("a key");
        assert_eq!(
            key_at(text, &outline(text), at).map(|(path, _)| path),
            Some(path("steps/a/retry/on"))
        );
    }
}
