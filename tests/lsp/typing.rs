//! Somebody types, well or badly.

use std::ops::Range;

use serde_json::{Value as Json, json};

use super::{GLOO_MESH, client::Client, place, told_by_compile, told_by_server};
use crate::{harness::Test, random::Random};

/// Has params, steps of scripts and expressions, and is checked quickly.
const TYPED_IN: &str = "workflows/certificate.yaml";

/// What people type into workflows, and what breaks them.
const TYPED: [&str; 16] = [
    "${{ steps.",
    "x",
    "  ",
    "\n",
    "\n  - ",
    ": ",
    "{",
    "}",
    "\"",
    "'",
    "#",
    "params.name }}",
    "é😀",
    "when: true",
    "|\n    ",
    "[a, ",
];

#[test]
fn random_edits_end_in_the_diagnostics_of_the_saved_text() {
    let test = Test::with_shipped_workflows();
    let original = test.read(TYPED_IN);
    let mut client = Client::start(&test);
    client.open(TYPED_IN, &original);
    assert_eq!(client.diagnostics(TYPED_IN), [Json::Null; 0]);
    let mut dice = Random(20_261_127);
    let (mut text, mut with_mistakes) = (original.clone(), 0);
    for edit in 0..100 {
        // A few edits on top of each other, and from the beginning again: else nothing would ever be valid.
        if edit % 4 == 0 {
            text.clone_from(&original);
            client.change(TYPED_IN, &text);
        }
        let mut at = dice.below(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        if dice.below(2) == 0 {
            // Within a word, which leaves most of the file as it is.
            at += text[at..].find(char::is_alphanumeric).unwrap_or(0);
            let length = text[at..].find(|c: char| !c.is_alphanumeric()).unwrap_or(0);
            type_over(&mut client, &mut text, at..at + length.min(1), "q");
        } else {
            let typed = TYPED[dice.below(TYPED.len())];
            for (i, c) in typed.char_indices() {
                type_over(&mut client, &mut text, at + i..at + i, &c.to_string());
            }
            if dice.below(3) == 0 {
                let end = text[at..]
                    .char_indices()
                    .nth(dice.below(40))
                    .map_or(text.len(), |(i, _)| at + i);
                type_over(&mut client, &mut text, at..end, "");
            }
        }
        // Whatever stands there, it is answered; an error would end the test.
        let cursor = place(&text, at);
        for question in ["completion", "hover", "definition", "documentHighlight"] {
            client.at(question, TYPED_IN, cursor);
        }
        let document = json!({ "textDocument": { "uri": client.uri(TYPED_IN) } });
        client.request("textDocument/documentSymbol", document);
        if edit % 4 == 3 {
            client.settle(TYPED_IN);
            test.write(TYPED_IN, &text);
            let shown = told_by_server(&client);
            assert_eq!(
                shown,
                told_by_compile(&test, "workflows/", "certificate.yaml"),
                "after {edit} edits:\n{text}"
            );
            with_mistakes += usize::from(!shown.is_empty());
            test.write(TYPED_IN, &original);
        }
    }
    assert!(
        with_mistakes > 10,
        "only {with_mistakes} of 25 texts had mistakes"
    );
    assert_eq!(client.stop(), Some(0));
}

fn type_over(client: &mut Client, text: &mut String, range: Range<usize>, new: &str) {
    client.replace(
        TYPED_IN,
        place(text, range.start),
        place(text, range.end),
        new,
    );
    text.replace_range(range, new);
}

/// Prints how long a diagnostic of the largest workflow takes, from the key to the squiggle.
/// Such a file has the key `workflow:`, too, and is none.
#[test]
fn a_file_of_tests_is_no_workflow_with_mistakes() {
    let test = Test::new();
    test.windlass(&["new", "hello"]).expect(0);
    let tests = "hello.test.yaml";
    let mut client = Client::start(&test);
    client.open(tests, &test.read(tests));
    client.settle(tests);
    assert_eq!(client.known(tests), [Json::Null; 0]);
}

#[test]
fn a_diagnostic_comes_while_somebody_types() {
    let test = Test::with_shipped_workflows();
    let text = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &text);
    client.diagnostics(GLOO_MESH);
    let line = text
        .lines()
        .position(|line| line.contains("steps.root_ca.arn"))
        .expect("a read");
    let column = text
        .lines()
        .nth(line)
        .and_then(|line| line.find("root_ca"))
        .expect("a read");
    let times = client.timed(GLOO_MESH, (line, column), 10);
    println!(
        "a diagnostic of {GLOO_MESH}: median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}
