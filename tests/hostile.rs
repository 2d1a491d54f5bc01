//! Scripts that break a naive embedding: none may panic, overflow, hang or get out.

use crate::harness::Test;

#[test]
fn a_hostile_script_fails_like_any_other() {
    let scripts = [
        ("endless loop", "loop { }"),
        (
            "endless loop behind catch",
            "loop { try { loop { } } catch { } }",
        ),
        ("recursion", "fn f(x) { f(x + 1) + 1 } f(0)"),
        (
            "mutual recursion through natives",
            "fn f(x) { [x].map(|y| f(y)) } f(0)",
        ),
        ("write to a constant map", "const X = #{ a: 1 }; X.a = 2;"),
        (
            "write to a constant map by index",
            "const X = #{ a: 1 }; X[\"a\"] = 2;",
        ),
        ("deeply nested arrays", "let a = []; loop { a = [a]; }"),
        ("deeply nested maps", "let a = #{}; loop { a = #{ a: a }; }"),
        ("a huge string", "let s = \"x\"; loop { s += s; }"),
        ("a huge array", "let a = []; loop { a.push(1); }"),
        ("a huge array at once", "let a = []; a.pad(100000000, 1);"),
        ("division by zero", "1 / 0"),
        ("overflow", "9223372036854775807 + 1"),
        ("sleep", "sleep(1000000)"),
        ("index far away", "let a = [1]; a[99999999999]"),
        (
            "a file outside",
            "let name = \"../outside.txt\"; file::write(name, \"x\")",
        ),
        ("an absolute file", "file::read(\"/etc/passwd\")"),
        ("negative random", "let count = -1; random::hex(count)"),
        (
            "json bomb",
            "let s = \"\"; for i in 0..100000 { s += \"[\"; } json::parse(s)",
        ),
        (
            "sum of ranges",
            "let x = 0; for i in 0..9223372036854775807 { x += 1; }",
        ),
    ];
    for (what, body) in scripts {
        let indented = body.replace('\n', "\n      ");
        let test = Test::new().file(
            "w.yaml",
            &format!(
                "workflow: w\nsteps:\n  bad:\n    run: |\n      {indented}\n    timeout: 2s\n"
            ),
        );
        let ran = test.windlass(&["run", "w.yaml"]);
        assert_eq!(ran.code, 1, "{what}: exit {}\n{}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{what}: {}", ran.stderr);
        assert!(!test.path("outside.txt").exists(), "{what}");
    }
}

#[test]
fn eval_is_refused_before_anything_runs() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  bad: { run: 'eval(\"1\")' }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(2);
}

#[test]
fn values_that_can_not_leave_a_script_are_named() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  bad: { script: bad.rhai }\n",
        )
        .file("bad.rhai", "fn run(inputs) { #{ list: [1, |x| x + 1] } }\n");
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("at list[1]: a function pointer can't leave a script");
}

#[test]
fn outputs_are_held_against_their_declaration() {
    let cases = [
        (
            "#{ n: \"x\" }",
            "the script's output `n` does not fit its OUTPUTS: expected int, found string",
        ),
        ("#{}", "expected int, found nothing"),
        (
            "#{ n: 1, m: 2 }",
            "the script returned `m`, but its OUTPUTS do not declare it",
        ),
        ("5", "the script returned an int, not a map"),
    ];
    for (body, message) in cases {
        let test = Test::new()
            .file(
                "w.yaml",
                "workflow: w\nsteps:\n  bad: { script: bad.rhai }\n",
            )
            .file(
                "bad.rhai",
                &format!("const OUTPUTS = #{{ n: \"int\" }};\nfn run(inputs) {{ let all = {body}; all }}\n"),
            );
        let ran = test.windlass(&["run", "w.yaml"]).expect(1);
        assert!(ran.stderr.contains(message), "{message}\n{}", ran.stderr);
        // The value at the end of `fn run`.
        assert!(ran.stderr.contains("[bad.rhai:2:"), "{}", ran.stderr);
    }
}
