//! Where a comment of a shipped rotation says that a pause fits, one does: it waits for everything before it, and
//! everything after it waits for it.

use crate::harness::Test;

const FILES: [&str; 7] = [
    "rotate-leaf",
    "rotate-relay-ca",
    "rotate-issuing-ca",
    "rotate-root",
    "add-cluster",
    "retire-cluster",
    "retire-ca",
];

/// What a comment says.
#[derive(Debug)]
struct Place {
    needs: String,
    before: String,
}

fn places(text: &str) -> Vec<Place> {
    let comments = text
        .lines()
        .filter(|line| line.contains("# A pause fits here"));
    let said = comments.map(|line| {
        let (_, rest) = line.split_once("a step that needs [").expect("its needs");
        let (needs, rest) = rest
            .split_once("], and is added to the needs of `")
            .expect("its step");
        Place {
            needs: needs.to_owned(),
            before: rest.trim_end_matches("`.").to_owned(),
        }
    });
    said.collect()
}

/// The lines of a step.
fn step<'a>(text: &'a str, name: &str) -> &'a str {
    let begins = text.find(&format!("\n  {name}:\n")).expect("the step") + 1;
    let ends = text[begins..]
        .find("\n\n")
        .map_or(text.len(), |at| begins + at);
    &text[begins..ends]
}

/// The phase of a step; of one that only proves something between two phases, the phase that comes after it.
fn phase<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, from_it_on) = text
        .split_once(&format!("\n  {name}:\n"))
        .expect("the step");
    let mut lines = from_it_on.lines();
    lines
        .find_map(|line| line.strip_prefix("    phase: "))
        .expect("its phase")
}

/// Puts a pause there, as a phase of its own, so that the check of phases judges its place.
fn with_pause(text: &str, place: &Place) -> String {
    let waits = step(text, &place.before);
    let waits_longer = waits.replacen("    needs: [", "    needs: [paused, ", 1);
    assert_ne!(waits, waits_longer, "{place:?} has no needs");
    let pause = format!(
        "  paused:\n    phase: pause\n    needs: [{}]\n    run: time::sleep(\"3d\")\n\n",
        place.needs
    );
    let phase = phase(text, &place.before);
    let heading = format!("\n  {phase}:\n    description:");
    assert_eq!(text.matches(&heading).count(), 1, "{phase}");
    text.replace(
        &heading,
        &format!("\n  pause: {{ description: A pause. }}{heading}"),
    )
    .replace(waits, &format!("{pause}{waits_longer}"))
}

#[test]
fn a_pause_fits_wherever_a_rotation_says_so() {
    let test = Test::with_shipped_workflows();
    let mut count = 0;
    for file in FILES {
        let path = format!("workflows/{file}.yaml");
        let text = test.read(&path);
        let places = places(&text);
        // Each phase but the first is one that a pause can come before.
        let (_, rest) = text.split_once("\nphases:\n").expect("phases");
        let (phases, _) = rest.split_once("\nsteps:\n").expect("steps");
        let phases = phases.lines().filter(|line| {
            line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':')
        });
        for name in phases.skip(1) {
            let name = name.trim().trim_end_matches(':');
            let is_there = places
                .iter()
                .any(|place| phase(&text, &place.before) == name);
            assert!(is_there, "{file} does not say how to pause before {name}");
        }
        for place in &places {
            test.write(&path, &with_pause(&text, place));
            let ran = test.windlass(&["validate", &path]);
            assert_eq!(ran.code, 0, "{file}, {place:?}: {}", ran.stderr);
            count += 1;
        }
        // Without what waits for it, the same pause is refused: the check can fail.
        let first = places.first().expect("a place");
        let idle = with_pause(&text, first).replacen("[paused, ", "[", 1);
        test.write(&path, &idle);
        let refused = test.windlass(&["validate", &path]).expect(2).stderr;
        assert!(refused.contains("phase-order"), "{file}: {refused}");
        test.write(&path, &text);
    }
    println!("{count} pauses fit");
    assert!(count >= 10, "only {count}");
}
