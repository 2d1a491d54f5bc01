//! `windlass shell`: entries from a pipe, and from a terminal.

use crate::{
    harness::{Ran, Test, fed, status},
    surface::in_dialogue,
};

/// Pipes entries into a shell.
fn piped(test: &Test, options: &[&str], entries: &str) -> Ran {
    fed(&mut test.command(&[&["shell"], options].concat()), entries)
}

#[test]
fn entries_share_variables_and_functions_and_are_one_run() {
    let test = Test::new();
    let entries = "let x = 20\n\n// nothing\nfn double(a) {\n  a * 2\n}\nx += 1\ndouble(x)\n\
        let m = #{ a: [1, 2], b: `${x}` };\nm\n\"text\"\n";
    let ran = piped(&test, &[], entries).expect(0);
    assert_eq!(
        ran.stdout, "42\na:\n  - 1\n  - 2\nb: \"21\"\ntext\n",
        "{}",
        ran.stderr
    );
    ran.says("recorded as run ");
    assert!(!ran.stderr.contains("To undo"), "{}", ran.stderr);
    let shown = test.shown();
    assert_eq!(shown["workflow"], "shell");
    assert_eq!(shown["status"], "succeeded");
    for step in 1..=6 {
        assert_eq!(status(&shown, &format!("entry_{step}")), "succeeded");
    }
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
    let ran = piped(&test, &["--json"], "#{ a: [1, ()], b: \"x\" }").expect(0);
    assert_eq!(ran.json(), serde_json::json!({ "a": [1, null], "b": "x" }));
}

#[test]
fn what_an_entry_changes_is_said_and_undone() {
    let test = Test::new();
    let ran = piped(
        &test,
        &[],
        "let ca = pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"Shell\" } })\n\
         file::write(\"arn.txt\", ca);\nlog::info(\"said\")\nkube::get(\"mgmt\", \"\", \"namespace/gloo-mesh\").metadata.name\n",
    )
    .expect(0);
    assert_eq!(ran.stdout, "gloo-mesh\n", "{}", ran.stderr);
    for part in [
        "did pca::create_certificate_authority CN=Shell",
        "did file::write arn.txt",
        "said",
        "To undo: windlass undo",
    ] {
        ran.says(part);
    }
    assert_eq!(test.authorities(), 1);
    assert!(test.read("out/arn.txt").starts_with("arn:aws:acm-pca:"));
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/arn.txt").exists());
}

#[test]
fn what_an_entry_only_reads_is_not_said_to_be_done() {
    let test = Test::new().file("windlass.toml", "[targets.t]\nexec = [\"true\"]\n");
    let entries = "exec::run(\"true\", [], #{ read: true }).code\n";
    let ran = piped(&test, &["--target", "t"], entries).expect(0);
    assert_eq!(ran.stdout, "0\n", "{}", ran.stderr);
    for part in ["did ", "To undo"] {
        assert!(!ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[test]
fn secrets_are_masked_and_passed_on_whole() {
    let test = Test::new();
    let entries = "let p = random::password(24)\np\n#{ deep: [p] }\nlet n = p.len(); n\nfile::write_secret(\"p\", p);\n";
    let ran = piped(&test, &[], entries).expect(0);
    assert_eq!(
        ran.stdout, "‹secret›\ndeep:\n  - \"‹secret›\"\n24\n",
        "{}",
        ran.stderr
    );
    let password = test.read("out/p");
    assert_eq!(password.len(), 24);
    let logs = test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(!logs.contains(&password) && !ran.stderr.contains(&password));
}

#[test]
fn a_pipe_ends_at_the_first_entry_that_fails() {
    let test = Test::new();
    let ran = piped(
        &test,
        &[],
        "let x = 1\nthrow \"no\"\nfile::write(\"after\", \"x\")\n",
    )
    .expect(1);
    assert!(
        ran.stderr.contains("no") && ran.stderr.contains("entry_2.rhai:1:1"),
        "{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("INPUTS"),
        "only what was typed is shown: {}",
        ran.stderr
    );
    assert!(!test.path("out/after").exists());
    let shown = test.shown();
    assert_eq!(status(&shown, "entry_2"), "failed");
    assert_eq!(shown["status"], "failed");
    // So does a command of the prompt.
    let ran = piped(&Test::new(), &[], ":nothing\n1\n").expect(1);
    ran.says("unknown command :nothing");
    assert_eq!(ran.stdout, "");
    // Mistakes are found before anything runs, and their places are those of the text that was typed.
    let ran = piped(
        &test,
        &[],
        "let x = 1\nfile::write(\"a\", \"b\") + x\nfile::wirte(\"a\", x)\n",
    )
    .expect(1);
    assert!(
        ran.stderr.contains("did you mean `write`") || ran.stderr.contains("did you mean"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("INPUTS"), "{}", ran.stderr);
    for entries in ["let x = #{ a: 1", "fn f() { nothing }", "1 +"] {
        let ran = piped(&Test::new(), &[], entries).expect(1);
        assert!(ran.stderr.contains("error:"), "{entries}: {}", ran.stderr);
    }
}

#[test]
fn a_terminal_goes_on_after_a_mistake_and_remembers() {
    let test = Test::new();
    // What is awaited is not what was typed, which the terminal shows as well.
    let dialogue = [
        ("windlass>", "let x = #{ a: 4 }; \"fir\" + \"st\"\r"),
        ("first", "throw \"sec\" + \"ond\"\r"),
        ("second", "x.a + 3000\r"),
        ("3004", ":nothing\r"),
        ("unknown command :nothing", ":quit\r"),
    ];
    let ran = in_dialogue(&test, "shell", &dialogue).expect(0);
    for part in ["windlass>", "unknown command :nothing", "recorded as run"] {
        ran.prints(part);
    }
    let history = test.read(".windlass/shell-history");
    assert!(history.contains("x.a + 3000"), "{history}");
    let mode = std::fs::metadata(test.path(".windlass/shell-history")).expect("it is there");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_engine_can_not_drive_a_shell() {
    let test = Test::new().file(
        "windlass.toml",
        "[targets.t]\nsubstrate = { restate = \"http://127.0.0.1:1\" }\n",
    );
    let ran = piped(&test, &["--target", "t"], "1").expect(2);
    ran.says("does not work with Restate");
    let ran = piped(&test, &["--target", "nope"], "1").expect(2);
    ran.says("nope");
    assert!(!test.path(".windlass").exists());
}

#[test]
fn an_input_that_ends_too_early_says_what_is_open() {
    for (entries, said) in [
        ("let x = [1,\n 2\n", "ends inside the bracket `[` of line 1"),
        ("1;\nf(#{ a:\n", "ends inside the bracket `#{` of line 1"),
        ("`abc\n", "ends inside the string in backticks of line 1"),
        ("/* abc\n", "ends inside the comment of line 1"),
    ] {
        let ran = piped(&Test::new(), &[], entries).expect(1);
        assert!(ran.stderr.contains(said), "{entries}: {}", ran.stderr);
    }
}

#[test]
fn a_mistake_is_shown_in_what_was_typed() {
    for entries in ["\"abc\n", "1 +\n", "let x = 5; x.\n", "1 +* 2\n", "1 / 0\n"] {
        let ran = piped(&Test::new(), &[], entries).expect(1);
        let line = entries.trim_end();
        assert!(ran.stderr.contains(line), "{entries}: {}", ran.stderr);
        for added in ["value_of_entry", "variables:", "#{"] {
            assert!(!ran.stderr.contains(added), "{entries}: {}", ran.stderr);
        }
    }
}
