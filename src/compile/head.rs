//! Finds out whether a file of a folder is a workflow, by the keys of its top level.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use saphyr_parser::{Event, Parser};

use super::source::MAX_FILE_BYTES;

/// The key that a workflow has.
const KEY: &str = "workflow";
/// How a text in UTF-16 begins.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Says whether a YAML file declares itself a workflow: whether its top level has the key `workflow`. A file that can't be read may be one, so
/// it counts as one, and compiling it then shows the error. Of a file that is too long, only the beginning is read.
pub fn declares_workflow(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        // A folder, a pipe, a link to nothing, a file that was deleted meanwhile.
        Ok(_) => return false,
        Err(e) => return e.kind() != io::ErrorKind::NotFound,
    }
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mut limited = file.take(MAX_FILE_BYTES as u64 + 1);
        limited.read_to_end(&mut text)
    });
    match read {
        Ok(_) => UTF_16.iter().any(|mark| text.starts_with(mark)) || has_key(&text),
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    }
}

/// Says whether the top level of a text has the key.
fn has_key(text: &[u8]) -> bool {
    // Bytes that are not UTF-8 are a mistake that is reported when the file is compiled.
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    mentions_key(text) && finds_key(text).unwrap_or_else(|()| looks_so(text))
}

/// Says whether the key may be anywhere in a text. Most other YAML is ruled out by this, without parsing it.
fn mentions_key(text: &str) -> bool {
    text.match_indices(KEY).any(|(at, _)| {
        let rest = &text[at + KEY.len()..];
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        rest.trim_start().starts_with(':')
    })
}

/// Parses a text up to the key.
///
/// # Errors
/// The text is not YAML, and the key was not found before that.
fn finds_key(text: &str) -> Result<bool, ()> {
    let mut parser = Parser::new_from_str(text);
    // How many collections are open, and whether the next node of the top level is a key.
    let (mut depth, mut is_key) = (0_usize, true);
    let mut is_map = false;
    while let Some(next) = parser.next_event() {
        let (event, _) = next.map_err(|_| ())?;
        match event {
            Event::DocumentStart(_) => (depth, is_map) = (0, false),
            Event::Scalar(name, ..) if depth == 1 && is_map => {
                if is_key && name == KEY {
                    return Ok(true);
                }
                is_key = !is_key;
            }
            Event::Alias(_) if depth == 1 => is_key = !is_key,
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if depth == 0 {
                    is_map = matches!(event, Event::MappingStart(..));
                    is_key = true;
                }
                depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    is_key = !is_key;
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

/// Says whether a text that is not YAML looks like a workflow: whether a line begins with the key.
fn looks_so(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start_matches(['{', '"', '\'']);
        line.starts_with(KEY) && mentions_key(line)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_workflow_is_known_by_its_key_however_that_is_written() {
        for text in [
            "workflow: x\nsteps: {}\n",
            "\u{feff}workflow: x\n",
            "\"workflow\": x\n",
            "'workflow' : x\n",
            "workflow : x\n",
            "{ \"workflow\": \"x\", \"steps\": {} }",
            "{\n  \"steps\": { \"a\": [1] },\n  \"workflow\": \"x\"\n}",
            "  params: { a: int }\n  workflow: x\n",
            "# text\n---\nx-all: &a { b: [1, 2] }\nother: *a\nworkflow: x\n",
            "steps:\n  a: [\nworkflow: x\n",
        ] {
            assert!(has_key(text.as_bytes()), "{text}");
        }
        assert!(has_key(b"workflow: \xff\n"));
        for text in [
            "",
            "services: {}\n",
            "on: push\njobs:\n  workflow: { a: 1 }\n",
            "- workflow: x\n",
            "name: the workflow\n",
            "a: workflow\nb: c\n",
            "text: |\n  workflow: x\n",
            "{{ if .Values.a }}\n  workflow: x\n{{ end }}\n",
        ] {
            assert!(!has_key(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_read_counts_and_what_is_no_file_does_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("folder.yaml")).expect("made");
        std::os::unix::fs::symlink(at("nothing"), at("link.yaml")).expect("linked");
        fs::write(at("wide.yaml"), b"\xff\xfew\0o\0").expect("written");
        for (name, is_one) in [
            ("folder.yaml", false),
            ("link.yaml", false),
            ("none.yaml", false),
            ("wide.yaml", true),
        ] {
            assert_eq!(declares_workflow(&at(name)), is_one, "{name}");
        }
        fs::write(at("closed.yaml"), "services: {}\n").expect("written");
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(at("closed.yaml"), closed).expect("closed");
        // The administrator can read it all the same.
        let is_refused = File::open(at("closed.yaml")).is_err();
        assert_eq!(declares_workflow(&at("closed.yaml")), is_refused);
    }
}
