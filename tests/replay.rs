//! Random scripts that catch, branch and loop, interrupted and resumed, also after random edits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::harness::Test;

/// A line of a random script.
#[derive(Clone, Debug)]
enum Line {
    /// Draws a digit, which is recorded.
    Draw,
    /// Writes a file named by what was drawn so far.
    Write(u8),
    /// Reads a file that is there only later, and catches the failure.
    Catch(u8),
    /// Does its lines only if what was drawn is even.
    Branch(Vec<Line>),
    Loop(u8, Vec<Line>),
    /// Fails the attempt until the file is there.
    Gate(u8),
}

fn line() -> impl Strategy<Value = Line> {
    let leaf = prop_oneof![
        3 => Just(Line::Draw),
        3 => any::<u8>().prop_map(Line::Write),
        2 => (0_u8..3).prop_map(Line::Catch),
        1 => (0_u8..2).prop_map(Line::Gate),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let lines = prop::collection::vec(inner, 1..4);
        prop_oneof![
            lines.clone().prop_map(Line::Branch),
            (1_u8..4, lines).prop_map(|(times, lines)| Line::Loop(times, lines)),
        ]
    })
}

fn script(lines: &[Line]) -> String {
    format!(
        "const OUTPUTS = #{{ seen: \"string\" }};\nfn run(inputs) {{\n    let seen = \"\";\n{}    #{{ seen: seen }}\n}}\n",
        text(lines)
    )
}

fn text(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            Line::Draw => "seen += random::int(0, 9);\n".to_owned(),
            Line::Write(n) => format!("file::write(`w{n}-${{seen}}.txt`, \"x\");\n"),
            Line::Catch(n) => format!("try {{ file::read(\"late-{n}.txt\"); seen += \"r\"; }} catch (e) {{ seen += \"c\"; }}\n"),
            Line::Branch(inner) => format!("if seen.len() % 2 == 0 {{ {} }}\n", text(inner)),
            Line::Loop(times, inner) => format!("for i in 0..{times} {{ {} }}\n", text(inner)),
            Line::Gate(n) => format!("file::read(\"gate-{n}.txt\");\n"),
        })
        .collect()
}

const WORKFLOW: &str = "workflow: w
steps: { a: { script: a.rhai } }
outputs: { seen: \"${{ steps.a.seen }}\" }
";

fn interrupted(lines: &[Line]) -> (Test, i32) {
    let test = Test::new()
        .file("w.yaml", WORKFLOW)
        .file("a.rhai", &script(lines));
    let code = test
        .windlass(&["run", "w.yaml"])
        .expect_one_of(&[0, 1])
        .code;
    (test, code)
}

/// Lets every file that the script may look for be there.
fn come_late(test: &Test) {
    for n in 0..3 {
        test.write(&format!("out/late-{n}.txt"), "late");
        test.write(&format!("out/gate-{n}.txt"), "open");
    }
}

/// The recorded results by position: the last of each, and how often each was intended.
fn recorded(events: &[Json]) -> BTreeMap<i64, (Vec<Json>, usize)> {
    let mut found: BTreeMap<i64, (Vec<Json>, usize)> = BTreeMap::new();
    for event in events.iter().filter(|e| e["position"].is_i64()) {
        let entry = found
            .entry(event["position"].as_i64().expect("a number"))
            .or_default();
        match event["event"].as_str() {
            Some("effect_intended") => entry.1 += 1,
            Some("effect_ended") => entry.0.push(event["outcome"].clone()),
            _ => {}
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_caught_is_replayed_and_what_ended_the_attempt_is_not(lines in prop::collection::vec(line(), 1..7)) {
        let (test, code) = interrupted(&lines);
        let before = recorded(&test.events());
        come_late(&test);
        if code == 1 {
            test.windlass(&["resume"]).expect(0);
        }
        let after = recorded(&test.events());
        let last = before.keys().max().copied();
        for (position, (results, _)) in &before {
            let now = &after[position].0;
            if code == 1 && Some(*position) == last {
                // The failure that ended the attempt was forgotten, and the call made again.
                prop_assert_eq!(now.len(), 2);
                prop_assert!(now[1]["done"].is_string());
            } else {
                prop_assert_eq!(now, results, "position {} was done again", position);
            }
        }
        prop_assert!(after.values().all(|(_, intended)| *intended <= 1));
    }

    #[test]
    fn an_edit_repeats_nothing(
        lines in prop::collection::vec(line(), 1..7),
        edited in prop::collection::vec(line(), 1..7),
        kept in 0_usize..7,
    ) {
        let (test, code) = interrupted(&lines);
        come_late(&test);
        // An edit keeps a head of the script, and goes on as it likes.
        let edited: Vec<_> = lines.iter().take(kept).chain(&edited).cloned().collect();
        test.write("a.rhai", &script(&edited));
        let before = recorded(&test.events());
        let ran = test.windlass(&["resume", "--edited", "--yes"]).expect_one_of(&[0, 1]);
        prop_assert!(ran.code == 0 || ran.stderr.contains("no longer makes the recorded calls"), "{}", ran.stderr);
        let after = recorded(&test.events());
        for (position, (results, _)) in &before {
            let is_forgotten = code == 1 && Some(position) == before.keys().max();
            let now = &after[position].0;
            prop_assert!(is_forgotten || now == results, "position {} was done again", position);
        }
        prop_assert!(after.values().all(|(_, intended)| *intended <= 1), "something was announced twice");
    }
}
