//! Which runs are listed, and in which signs.

use crate::harness::Test;

fn listed(test: &Test, arguments: &[&str]) -> Vec<String> {
    let ran = test
        .windlass(&[&["runs", "--json"], arguments].concat())
        .expect(0);
    let runs = ran.json();
    let runs = runs.as_array().expect("a list").iter();
    runs.map(|run| {
        format!(
            "{} {}",
            run["workflow"].as_str().expect("a name"),
            run["status"].as_str().expect("a word")
        )
    })
    .collect()
}

#[test]
fn runs_are_chosen_by_what_they_are() {
    let test = Test::new()
        .file("a.yaml", "workflow: a\nsteps: { s: { run: '#{}' } }\n")
        .file(
            "b.yaml",
            "workflow: b\nsteps: { s: { run: 'throw \"no\"' } }\n",
        );
    for (file, code) in [("a.yaml", 0), ("b.yaml", 1), ("a.yaml", 0)] {
        test.windlass(&["run", file]).expect(code);
    }
    for (arguments, wanted) in [
        (&[][..], &["a succeeded", "b failed", "a succeeded"][..]),
        (&["--limit", "2"], &["a succeeded", "b failed"]),
        (&["--status", "failed"], &["b failed"]),
        (
            &["--status", "failed,succeeded", "-L", "1"],
            &["a succeeded"],
        ),
        (&["--workflow", "a"], &["a succeeded", "a succeeded"]),
        (&["--target", "prod"], &[]),
        (&["--target", "local", "--workflow", "b"], &["b failed"]),
        (&["--requester", "tester", "--workflow", "b"], &["b failed"]),
        (&["--requester", "somebody"], &[]),
        (&["--since", "1h", "--workflow", "b"], &["b failed"]),
        (&["--since", "2096-01-01"], &[]),
        (
            &["--since", "2026-01-31T12:00:00Z", "--workflow", "b"],
            &["b failed"],
        ),
    ] {
        assert_eq!(listed(&test, arguments), wanted, "{arguments:?}");
    }
    for wrong in [
        &["--status", "fine"][..],
        &["--since", "yesterday"],
        &["--limit", "0"],
    ] {
        test.windlass(&[&["runs"], wrong].concat()).expect(2);
    }
    let ran = test.windlass(&["runs", "--target", "prod"]).expect(0);
    ran.says("no run matches");
}

#[test]
fn f_signs_are_ascii_where_somebody_wants_that() {
    let test = Test::new().file("a.yaml", "workflow: a\nsteps: { s: { run: '#{}' } }\n");
    let run = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = test.command(&[&["run", "a.yaml"], arguments].concat());
        command.envs(variable);
        crate::harness::Ran::from_output(command.output().expect("windlass starts"))
            .expect(0)
            .stderr
    };
    assert!(run(&[], None).contains('✓'));
    for (arguments, variable) in [
        (&["--ascii"][..], None),
        (&[], Some(("NO_UNICODE", "1"))),
        (&[], Some(("TERM", "dumb"))),
        (&[], Some(("LC_ALL", "C"))),
    ] {
        let said = run(arguments, variable);
        assert!(said.is_ascii(), "{arguments:?} {variable:?}: {said}");
    }
}
