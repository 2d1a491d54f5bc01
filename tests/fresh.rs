//! `fresh: true`: a step that looks again whenever it runs again.

use std::fs;

use crate::{
    harness::{Test, status},
    site::Site,
};

const LOOKS: &str = "workflow: w
params: { n: { type: int, default: 1 } }
steps:
  write:
    with: { n: \"${{ params.n }}\" }
    run: 'file::write(\"a.txt\", `${inputs.n}`); #{ n: 7 }'
  check:
    needs: [write]
    fresh: true
    run: '#{ found: file::exists(\"a.txt\") }'
outputs: { found: \"${{ steps.check.found }}\" }
";

#[test]
fn a5_a_fresh_step_does_not_replay_what_it_read() {
    for (fresh, found) in [(true, "false"), (false, "true")] {
        let keys = if fresh { "    fresh: true\n" } else { "" };
        let test = Test::new().file("w.yaml", &LOOKS.replace("    fresh: true\n", keys));
        test.windlass(&["run", "w.yaml"]).expect(0);
        // Somebody takes away what the step had seen; the step before it is edited.
        fs::remove_file(test.path("out/a.txt")).expect("removed");
        let edited = test.read("w.yaml").replace("#{ n: 7 }'", "#{ n: 8 }'");
        test.write("w.yaml", &edited);
        let plan = test.windlass(&["resume", "--edited", "--plan"]).expect(0);
        let word = if fresh { "looks again" } else { "replayed" };
        let line = plan.stdout.lines().find(|line| line.contains("check"));
        assert!(
            line.is_some_and(|line| line.contains(word)),
            "{}",
            plan.stdout
        );
        test.windlass(&["resume", "--edited", "--yes"]).expect(0);
        let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
        let outputs = outputs["found"].to_string();
        assert_eq!(outputs.trim_matches('"'), found, "fresh: {fresh}");
    }
}

#[test]
fn a5_a_retry_and_a_resume_look_again() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  check:
    fresh: true
    retry: { attempts: 2, backoff: 1ms..1ms }
    run: 'if !file::exists(\"go.txt\") { throw \"not there\" }'
",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    let reads = |test: &Test| {
        let events = test.events();
        events
            .iter()
            .filter(|e| e["event"] == "effect_ended")
            .count()
    };
    assert_eq!(reads(&test), 2);
    fs::create_dir_all(test.path("out")).expect("made");
    fs::write(test.path("out/go.txt"), "").expect("written");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(reads(&test), 3);
    assert_eq!(status(&test.shown(), "check"), "succeeded");
    test.windlass(&["audit"]).expect(0);
}

#[test]
fn a5_a_fresh_step_may_only_read() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
steps:
  a: { fresh: true, run: 'file::write(\"a\", \"b\")' }
  b: { fresh: true, approval: Go? }
  c: { fresh: true, workflow: inner.yaml }
",
        )
        .file(
            "inner.yaml",
            "workflow: inner\nsteps: { x: { run: '#{}' } }\n",
        );
    let refused = test.windlass(&["validate", "w.yaml"]).expect(2).stderr;
    for part in [
        "calls file::write",
        "on an `approval:` step",
        "on a `workflow:` step",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // What only shows as it runs is refused there, and not done.
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { fresh: true, run: 'exec::run(\"touch\", [\"x\"])' }\n",
    );
    test.write("windlass.toml", "[targets.t]\nexec = [\"touch\"]\n");
    let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
    ran.says("may only read");
    assert!(!test.path("out/x").exists());
}

/// A POST may be a question, such as a login; only the script knows.
#[test]
fn a5_a_post_that_only_reads_is_made_again() {
    let site = Site::open(&[503, 200, 200]);
    let workflow = |options: &str| {
        format!(
            "workflow: w\nsteps:\n  login:\n    fresh: true\n    run: 'http::post(\"{}/login\", #{{ {options} }})'\n",
            site.address()
        )
    };
    let test = Test::new().file("w.yaml", &workflow("read: true"));
    // Nothing is in doubt after an answer that proves nothing.
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.windlass(&["resume"]).expect(0);
    assert_eq!(site.requests(), ["POST /login"; 2]);
    for (options, why) in [
        ("", "calls http::post"),
        ("read: true, idempotency: true", "can't be combined"),
        (
            "read: true, undo: #{ method: \"DELETE\", url: \"http://x\" }",
            "can't be combined",
        ),
    ] {
        test.write("w.yaml", &workflow(options));
        let refused = test.windlass(&["run", "w.yaml"]).expect_one_of(&[1, 2]);
        assert!(
            refused.stderr.contains(why),
            "{options}: {}",
            refused.stderr
        );
    }
    assert_eq!(site.requests().len(), 2);
}

/// A step whose script only looks must look again, or it would say what once was.
#[test]
fn a5_the_shipped_verifications_look_again() {
    let test = Test::with_shipped_workflows();
    let mut count = 0;
    for file in [
        "gloo-mesh",
        "restart-mesh",
        "patch-host",
        "rotate-leaf",
        "rotate-relay-ca",
        "rotate-issuing-ca",
        "rotate-root",
        "relay-agent",
        "relay-server",
        "relay-trust",
        "istio-cluster",
        "istio-trust",
        "add-cluster",
        "retire-ca",
        "rotate-db-password",
    ] {
        let text = test.read(&format!("workflows/{file}.yaml"));
        // What only reads its params sees the same again.
        let looks = |step: &&str| {
            !step.contains("script: steps/check_subjects")
                && ["verify_", "check_", "wait_", "prove_"]
                    .iter()
                    .any(|name| step.contains(&format!("script: steps/{name}")))
        };
        for step in text.split("\n\n").filter(looks) {
            assert!(step.contains("fresh: true"), "{file}: {step}");
            count += 1;
        }
    }
    assert!(count >= 28, "only {count} such steps were found");
}
