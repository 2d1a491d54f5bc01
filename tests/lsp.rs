//! The language server, as an editor sees it.

mod client;
mod diagnostics;
mod latency;
mod modeline;
mod names;
mod peers;
mod typing;

use std::collections::BTreeSet;

use windlass::compile::{Folder, compile};

use crate::harness::Test;
use client::Client;

const GLOO_MESH: &str = "workflows/gloo-mesh.yaml";

/// A mistake as an author is told of it: file, line, column, code, message with its hint.
type Told = (String, u64, u64, String, String);

fn told_by_server(client: &Client) -> BTreeSet<Told> {
    let told = client.all_known().map(|(file, found)| {
        let start = &found["range"]["start"];
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| start[name].as_u64().expect("a number") + 1;
        (
            file.to_owned(),
            number("line"),
            number("character"),
            text("code"),
            text("message"),
        )
    });
    told.collect()
}

/// What `compile` says of the saved files: columns count UTF-16 here, as in an editor.
fn told_by_compile(test: &Test, folder: &str, main: &str) -> BTreeSet<Told> {
    let compiled = compile(main, &mut Folder::new(test.path(folder)));
    let mistakes = compiled.err().map_or_else(Vec::new, |mistakes| mistakes.0);
    let told = mistakes.iter().map(|mistake| {
        let file = format!("{folder}{}", mistake.file());
        let text = std::fs::read_to_string(test.path(&file)).unwrap_or_default();
        let at = mistake.places().next().expect("a place").0.start;
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before[before.rfind('\n').map_or(0, |i| i + 1)..]
            .encode_utf16()
            .count()
            + 1;
        let message = match &mistake.help {
            Some(hint) => format!("{}\nhint: {hint}", mistake.message),
            None => mistake.message.clone(),
        };
        (
            file,
            line as u64,
            column as u64,
            mistake.code.to_owned(),
            message,
        )
    });
    told.collect()
}

/// Where a text stands in a file, and where it ends: a line and a character.
#[track_caller]
fn place_of(text: &str, wanted: &str) -> ((usize, usize), (usize, usize)) {
    let at = text
        .find(wanted)
        .unwrap_or_else(|| panic!("no {wanted} in it"));
    (place(text, at), place(text, at + wanted.len()))
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count();
    (
        line,
        before[before.rfind('\n').map_or(0, |i| i + 1)..]
            .encode_utf16()
            .count(),
    )
}
