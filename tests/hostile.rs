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

/// Each of them would recurse, or take a time, that no one has.
#[test]
fn files_inside_of_each_other_have_limits() {
    let inner =
        |next: usize| format!("workflow: w\nsteps: {{ a: {{ workflow: w{next}.yaml }} }}\n");
    let last = "workflow: w\nsteps: { a: { run: '1' } }\n";
    let nested = |levels: usize| {
        let mut test = Test::new().file(&format!("w{levels}.yaml"), last);
        for level in 1..levels {
            test = test.file(&format!("w{level}.yaml"), &inner(level + 1));
        }
        test
    };
    nested(32).windlass(&["validate", "w1.yaml"]).expect(0);
    let refused = nested(3_000).windlass(&["validate", "w1.yaml"]).expect(2);
    refused.says("more than 32 workflows are inside of each other");
    // It is read from its end, so that no file is read very deep.
    let test = nested(3_000);
    let steps: String = (1..=3_000)
        .map(|at| format!("  s{at}: {{ workflow: w{}.yaml }}\n", 3_001 - at))
        .collect();
    test.write("all.yaml", &format!("workflow: all\nsteps:\n{steps}"));
    let refused = test.windlass(&["validate", "all.yaml"]).expect(2);
    refused.says("more than 32 workflows are inside of each other");

    let twice = |next: usize| {
        format!(
            "workflow: w\nsteps: {{ a: {{ workflow: w{next}.yaml }}, b: {{ workflow: w{next}.yaml }} }}\n"
        )
    };
    let mut test = Test::new().file("w30.yaml", last);
    for level in 1..30 {
        test = test.file(&format!("w{level}.yaml"), &twice(level + 1));
    }
    let refused = test.windlass(&["validate", "w1.yaml"]).expect(2);
    refused.says("more than 100000 steps");

    let mut test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps: { a: { run: 'import \"m1\" as m; 1' } }\n",
        )
        .file("m3000.rhai", "fn f() { 1 }");
    for level in 1..3_000 {
        let text = format!("import \"m{}\" as m;", level + 1);
        test = test.file(&format!("m{level}.rhai"), &text);
    }
    let refused = test.windlass(&["validate", "w.yaml"]).expect(2);
    refused.says("more than 32 modules import one another");
}
