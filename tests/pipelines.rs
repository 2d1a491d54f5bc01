//! What a job without a terminal relies on: exit codes, files that are not lost, and commands that do what they were told.

use std::{fs, process::Command};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    harness::{Test, contains, fed, until},
    serve::server::PATIENCE,
};

const SECRET: &str = "workflow: sec
params: { tok: secret }
steps:
  a: { with: { tok: '${{ params.tok }}' }, run: 'file::write_secret(\"s.txt\", inputs.tok); #{}' }
";
const WRITES: &str = "workflow: w
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";
const ASKS: &str = "workflow: e
params: { name: string }
steps:
  a: { with: { name: '${{ params.name }}' }, run: 'file::write(`${inputs.name}.txt`, \"x\")' }
  gate: { approval: go?, needs: [a] }
  b: { needs: [gate], run: 'file::write(\"b.txt\", \"x\")' }
";

fn id_of_newest(test: &Test) -> String {
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    runs[0]["run"].as_str().expect("an id").to_owned()
}

fn change(test: &Test, sql: &str) {
    let journal = Connection::open(test.path(".windlass/journal.db")).expect("opened");
    journal.execute_batch(sql).expect("changed");
}

fn with_secret() -> Test {
    let test = Test::new()
        .file("sec.yaml", SECRET)
        .file("w.yaml", WRITES)
        .private("tok.txt", "SuperSecret_123456");
    test.windlass(&["run", "sec.yaml", "-p", "tok=@tok.txt"])
        .expect(0);
    test
}

#[test]
fn an_identity_that_is_missing_is_not_replaced() {
    let test = with_secret();
    let run = ["run", "sec.yaml", "-p", "tok=@tok.txt"];
    let identity = test.path(".windlass/identity.txt");
    fs::rename(&identity, test.path("id")).expect("moved");
    let refused = test.windlass(&run).expect(2);
    contains(&refused.stderr, &["identity.txt is missing", "restore"]);
    assert!(!identity.exists());
    // What has no secrets needs none.
    test.windlass(&["run", "w.yaml"]).expect(0);
    fs::rename(test.path("id"), &identity).expect("moved");
    test.windlass(&run).expect(0);
    test.windlass(&["backup", "b.tar"]).expect(0);
    test.windlass(&["restore", "--verify", "b.tar"]).expect(0);
}

/// A backup that can't be restored fully replaces no good one, and the runs that are whole can be restored from it.
#[test]
fn a_backup_with_a_damaged_run_says_so_and_restores_the_others() {
    let test = with_secret();
    let damaged = id_of_newest(&test);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let whole = id_of_newest(&test);
    test.windlass(&["backup", "b.tar"]).expect(0);
    let good = fs::read(test.path("b.tar")).expect("read");
    change(
        &test,
        &format!("UPDATE events SET at = at + 1 WHERE run = '{damaged}' AND seq = 2"),
    );
    let said = test.windlass(&["backup", "b.tar"]).expect(1).stderr;
    contains(
        &said,
        &[
            "1 run can't be restored fully",
            &damaged,
            "b.tar was not replaced",
            "b.tar.partial",
            "[damaged-runs]",
        ],
    );
    assert_eq!(fs::read(test.path("b.tar")).expect("read"), good);
    let verified = test.windlass(&["restore", "--verify", "b.tar.partial"]);
    verified.expect(1).says(&damaged);
    let elsewhere =
        |arguments: &[&str]| test.windlass(&[&["--state", "other"], arguments].concat());
    elsewhere(&["restore", "b.tar.partial"])
        .expect(1)
        .says(&damaged);
    elsewhere(&["audit", &whole]).expect(0);
    elsewhere(&["audit", &damaged]).expect(2);
    // A file that is not there yet is written.
    test.windlass(&["backup", "new.tar"]).expect(1);
    test.windlass(&["restore", "--verify", "new.tar"]).expect(1);
    let piped = test.windlass(&["backup", "-"]).expect(1);
    assert!(piped.stdout.contains("windlass-backup/1"));
}

#[test]
fn a_backup_with_another_identity_says_so() {
    let test = with_secret();
    test.windlass(&["--state", "other", "run", "sec.yaml", "-p", "tok=@tok.txt"])
        .expect(0);
    fs::copy(
        test.path("other/identity.txt"),
        test.path(".windlass/identity.txt"),
    )
    .expect("copied");
    let said = test.windlass(&["backup", "b.tar"]).expect(1);
    said.says("it can't decrypt a secret of this run");
    test.windlass(&["--state", "third", "restore", "b.tar"])
        .expect(1);
}

/// The attempts that ran are recorded as lost also if the identity comes later.
#[test]
fn an_unfinished_run_with_secrets_is_restored_without_the_identity() {
    let workflow = SECRET.to_owned() + "  gate: { approval: go?, needs: [a] }\n";
    let test = Test::new()
        .file("sec.yaml", &workflow)
        .private("tok.txt", "SuperSecret_123456");
    test.windlass(&["run", "sec.yaml", "-p", "tok=@tok.txt"])
        .expect(3);
    let identity = test.path(".windlass/identity.txt");
    fs::rename(&identity, test.path("id")).expect("moved");
    test.windlass(&["backup", "b.tar"]).expect(0);
    let restored = test.windlass(&["--state", "other", "restore", "b.tar"]);
    restored.expect(0).says("it has no identity.txt");
    fs::rename(test.path("id"), test.path("other/identity.txt")).expect("moved");
    test.windlass(&["--state", "other", "approve", "sec", "gate"])
        .expect(0);
    test.windlass(&["--state", "other", "resume", "sec"])
        .expect(0);
}

#[test]
fn validate_finds_every_workflow_of_a_folder() {
    let wrong = [
        (
            "bom.yaml",
            "\u{feff}workflow: x\nsteps:\n  a: { runn: '#{}' }\n",
        ),
        (
            "quoted.yaml",
            "\"workflow\": x\nsteps:\n  a: { runn: '#{}' }\n",
        ),
        (
            "json.yaml",
            "{ \"workflow\": \"x\", \"steps\": { \"a\": { \"runn\": \"#{}\" } } }",
        ),
        ("blank.yml", "workflow : x\nsteps:\n  a: { runn: '#{}' }\n"),
        (
            "indented.yaml",
            "  steps:\n    a: { runn: '#{}' }\n  workflow: x\n",
        ),
    ];
    for (name, text) in wrong {
        let test = Test::new()
            .file("good.yaml", WRITES)
            .file("compose.yaml", "services: { workflow: { a: 1 } }\n")
            .file(name, text);
        let said = test.windlass(&["validate", "."]).expect(2).stderr;
        contains(&said, &["runn", "1 of 2 files"]);
    }
    let test = Test::new().file("good.yaml", WRITES);
    fs::write(test.path("latin.yaml"), b"workflow: \xff\n").expect("written");
    test.windlass(&["validate", "."])
        .expect(2)
        .says("it is not UTF-8 text");
}

#[test]
fn an_audit_says_who_changed_a_run_and_how() {
    let mut test = Test::new().file("e.yaml", ASKS);
    let mut by = |who: &str, arguments: &[&str], code: i32| {
        test.set("USER", who);
        test.windlass(arguments).expect(code)
    };
    by("carol", &["run", "e.yaml", "-p", "name=one"], 3);
    let first = by("carol", &["audit", "--json"], 0).json();
    by(
        "mallory",
        &["resume", "--edited", "-p", "name=two", "--yes"],
        3,
    );
    by("alice", &["approve", "e", "gate"], 0);
    by("dave", &["resume", "e"], 0);
    by("mallory", &["resume", "--redo", "b", "--yes"], 0);
    by("erin", &["undo", "--yes"], 0);
    let audit = by("carol", &["audit", "--json", "--bundle", "e.json"], 0).json();
    let history = audit["history"].as_array().expect("a list");
    let told: Vec<_> = history
        .iter()
        .filter(|entry| entry["what"] != "ended")
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("what"), text("by"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "started carol",
            "resumed mallory",
            "edited mallory",
            "resumed dave",
            "redone mallory",
            "undo_started erin"
        ],
        "{audit:#}"
    );
    assert_eq!(history[0]["program"], first["program"]);
    let edited = history.iter().find(|entry| entry["what"] == "edited");
    let edited = edited.expect("an edit");
    assert_eq!(edited["params"]["name"]["before"], "one");
    assert_eq!(edited["params"]["name"]["after"], "two");
    assert_eq!(edited["program"], audit["program"]);
    let text = by("carol", &["audit"], 0).stdout;
    contains(
        &text,
        &[
            "\nhistory\n",
            "changed by mallory",
            "name: one before, now two",
            "resumed by dave",
            "from their start: b",
            "undo started by erin",
        ],
    );
    let verified = by("carol", &["audit", "--verify", "e.json", "--json"], 0).json();
    assert_eq!(verified["history"], audit["history"]);
    by("carol", &["show"], 0).prints("by carol, changed by mallory");
}

/// A run that was only started and ended has no section of its own.
#[test]
fn an_audit_of_a_run_that_nobody_changed_is_short() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let text = test.windlass(&["audit"]).expect(0).stdout;
    assert!(!text.contains("history"), "{text}");
}

#[test]
fn prune_keeps_evidence_that_is_signed() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let key = ["genpkey", "-algorithm", "ED25519", "-out", "k.pem"];
    test.openssl(&key).expect(0);
    let public = ["pkey", "-in", "k.pem", "-pubout", "-out", "pub.pem"];
    test.openssl(&public).expect(0);
    fs::create_dir(test.path("ev")).expect("made");
    let id = id_of_newest(&test);
    let bundle = format!("ev/{id}.json");
    test.windlass(&["audit", "--bundle", &bundle, "--sign", "k.pem"])
        .expect(0);
    // Something else under the name of another run's bundle stays, too.
    test.windlass(&["run", "w.yaml"]).expect(0);
    let other = id_of_newest(&test);
    test.write(&format!("ev/{other}.json"), "notes");
    test.windlass(&["prune", "--keep", "0s", "--yes", "--bundles", "ev"])
        .expect(0);
    test.windlass(&["audit", "--verify", &bundle, "--signer", "pub.pem"])
        .expect(0);
    let key = test.read("pub.pem");
    test.write("two.pem", &format!("{key}{key}"));
    test.windlass(&["audit", "--verify", &bundle, "--signer", "two.pem"])
        .expect(2)
        .says("it holds several public keys");
    assert_eq!(test.read(&format!("ev/{other}.json")), "notes");
    test.windlass(&["audit", "--verify", &format!("ev/{other}-2.json")])
        .expect(0);
}

#[test]
fn a_bundle_goes_to_stdout_and_is_verified_from_stdin_and_a_signature_is_not_ignored() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let bundle = test.windlass(&["audit", "--bundle", "-"]).expect(0).stdout;
    assert!(bundle.starts_with('{'), "{bundle}");
    assert!(!test.path("-").exists());
    let verified = fed(&mut test.command(&["audit", "--verify", "-"]), &bundle);
    verified.expect(0).prints("unbroken");
    test.write("c.json", &bundle);
    for ignored in [["--sign", "k.pem"], ["--timestamp", "http://127.0.0.1:1/"]] {
        let arguments = [&["audit", "--verify", "c.json"], &ignored[..]].concat();
        test.windlass(&arguments).expect(2);
    }
}

#[test]
fn the_name_of_a_run_is_not_empty_and_not_too_short_for_a_change() {
    let test = Test::new().file("w.yaml", WRITES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let id = id_of_newest(&test);
    let (last, few) = (&id[id.len() - 6..], &id[id.len() - 3..]);
    for command in ["show", "logs", "audit", "outputs"] {
        let refused = test.windlass(&[command, ""]).expect(2);
        refused.says("the name of the run is empty");
    }
    for command in [
        &["undo", "--yes", ""][..],
        &["resume", ""],
        &["cancel", " "],
    ] {
        let refused = test.windlass(command).expect(2);
        refused.says("the name of the run is empty");
    }
    for command in [
        &["undo", "--yes", few][..],
        &["resume", few],
        &["cancel", few],
        &["approve", few, "a"],
    ] {
        let refused = test.windlass(command).expect(2);
        refused.says("is too short to name a run");
    }
    test.windlass(&["show", few]).expect(0);
    test.windlass(&["undo", "--yes", "--plan", "w"]).expect(0);
    test.windlass(&["undo", "--yes", last]).expect(0);
}

#[test]
fn stdin_is_read_once() {
    let test = Test::new();
    for more in [&["-p", "tok=@-"][..], &["--params", "-"], &["-p", "@-"]] {
        let arguments = [&["run", "-"], more].concat();
        let refused = fed(&mut test.command(&arguments), SECRET).expect(2);
        refused.says("stdin, which can be read only once");
    }
    assert!(!test.path(".windlass/journal.db").exists());
}

#[test]
fn an_empty_value_is_not_the_default() {
    let mut test = Test::new()
        .file(
            "p.yaml",
            "workflow: p
params:
  l: { type: list(string), default: [prod] }
  n: { type: int, default: 3 }
  t: { type: string, default: x }
  o: int?
steps:
  a: { run: '#{}' }
outputs: { l: '${{ params.l }}', t: '${{ params.t }}' }
",
        )
        .file("nul.yaml", "l:\n")
        .file("none.yaml", "o: null\n");
    for more in [
        &["-p", "l="][..],
        &["-p", "n= "],
        &["-p", "l=null"],
        &["--params", "nul.yaml"],
    ] {
        let refused = test.windlass(&[&["run", "p.yaml"], more].concat());
        refused
            .expect(2)
            .says("to take its default, leave the param out");
    }
    let refused = test.windlass(&["run", "p.yaml", "-p", "o="]).expect(2);
    refused.says("to give no value, leave the param out");
    assert!(!test.path(".windlass/journal.db").exists());
    // The empty text is a text.
    let outputs = test.outputs_of(&["p.yaml", "-p", "t=", "-p", "o=null"]);
    assert_eq!(
        (&outputs["t"], &outputs["l"][0]),
        (&"".into(), &"prod".into())
    );
    test.windlass(&["run", "p.yaml", "--params", "none.yaml"])
        .expect(0);
    test.set("WINDLASS_PARAM_L", "");
    test.windlass(&["run", "p.yaml"]).expect(2);
}

#[test]
fn a_param_of_the_environment_is_read_as_on_the_command_line() {
    let mut test = Test::new()
        .file("sec.yaml", SECRET)
        .private("tok.txt", "SuperSecret_123456\n");
    test.set("WINDLASS_PARAM_TOK", "@tok.txt");
    test.windlass(&["run", "sec.yaml"]).expect(0);
    assert_eq!(test.read("out/s.txt"), "SuperSecret_123456");
    test.set("WINDLASS_PARAM_TOK", "@@tok.txt");
    test.windlass(&["run", "sec.yaml"]).expect(0);
    assert_eq!(test.read("out/s.txt"), "@tok.txt");
}

#[test]
fn what_the_target_does_not_allow_is_found_before_a_run() {
    let programs = "workflow: x
params: { tool: { type: string, default: nosuchprogramxyz } }
steps:
  s: { with: { tool: '${{ params.tool }}' }, run: 'exec::run(inputs.tool, []); #{}' }
";
    let test = Test::new()
        .file(
            "windlass.toml",
            "[targets.bare]\nhttp = { allow = [\"good.example.com\"] }\n[targets.ops]\nexec = [\"sleep\", \"nosuchprogramxyz\"]\n",
        )
        .file("exec.yaml", programs)
        .file(
            "http.yaml",
            "workflow: h\nsteps:\n  s: { run: 'http::get(\"http://127.0.0.1:1/x\"); #{}' }\n",
        )
        .file(
            "undo.yaml",
            "workflow: u\nsteps:\n  s: { run: 'exec::run(\"sleep\", [\"0\"], #{ undo: [\"forbidden\"] }); #{}' }\n",
        )
        .file(
            "back.yaml",
            "workflow: b\nsteps:\n  s: { run: 'http::put(\"http://good.example.com/x\", #{ undo: #{ method: \"DELETE\", url: \"http://bad.example.com/x\" } }); #{}' }\n",
        )
        .file(
            "aws.yaml",
            "workflow: s\nsteps:\n  s: { run: 'aws::request(\"s3\", \"ListBuckets\", #{}); #{}' }\n",
        );
    for (file, target, why) in [
        ("exec.yaml", "local", "does not allow the program"),
        ("exec.yaml", "bare", "does not allow the program"),
        ("exec.yaml", "ops", "no such program was found"),
        ("http.yaml", "bare", "does not allow the host `127.0.0.1`"),
        (
            "undo.yaml",
            "ops",
            "`undo`: the target does not allow the program",
        ),
        (
            "back.yaml",
            "bare",
            "`undo`: the target does not allow the host",
        ),
        ("aws.yaml", "local", "no other service of AWS"),
    ] {
        let refused = test.windlass(&["validate", file, "--target", target]);
        let said = refused.expect(2).stderr;
        contains(&said, &["step s: ", why, "[not-allowed]"]);
        let plan = test.windlass(&["plan", file, "--target", target, "--no-dry-run"]);
        contains(&plan.stderr, &["warning:", why]);
    }
    let sleep = [
        "validate",
        "exec.yaml",
        "--target",
        "ops",
        "-p",
        "tool=sleep",
    ];
    test.windlass(&sleep).expect(0);
    let valid = test.windlass(&["validate", "http.yaml", "--target", "local"]);
    valid
        .expect(0)
        .says("the target local has everything it needs");
}

#[test]
fn a_plan_is_refused_for_a_secret_that_run_refuses() {
    let test = Test::new().file("sec.yaml", SECRET);
    for secret in ["tok=env:NO_SUCH_VARIABLE", "tok=file:/no/such/file"] {
        for command in ["plan", "run"] {
            test.windlass(&[command, "sec.yaml", "-p", secret])
                .expect(2);
        }
    }
}

#[test]
fn a_secret_of_a_file_is_that_of_the_folder_of_the_start() {
    let test = Test::new()
        .file(
            "ref.yaml",
            &SECRET
                .replace("steps:\n", "steps:\n  gate: { approval: go? }\n")
                .replace("a: { with", "a: { needs: [gate], with"),
        )
        .private("tok.txt", "SuperSecret_123456")
        .private("other/tok.txt", "OtherToken_abcdef");
    test.windlass(&["run", "ref.yaml", "-p", "tok=file:tok.txt"])
        .expect(3);
    test.windlass(&["approve", "sec", "gate"]).expect(0);
    let mut resume = test.command(&["--state", "../.windlass", "resume", "sec"]);
    let resumed = resume.current_dir(test.path("other")).output();
    assert!(resumed.expect("started").status.success());
    assert_eq!(test.read("out/s.txt"), "SuperSecret_123456");
}

#[test]
fn a_moved_output_folder_is_missed_and_can_be_named() {
    let test = Test::new().file("e.yaml", ASKS);
    test.windlass(&["run", "e.yaml", "-p", "name=one"])
        .expect(3);
    fs::rename(test.path("out"), test.path("moved")).expect("moved");
    let plan = test.windlass(&["undo", "--plan"]).expect(0);
    plan.says("does not exist, so files that the run wrote there are not found");
    let undone = test
        .windlass(&["undo", "--yes", "--out", "moved"])
        .expect(0);
    assert!(!undone.stderr.contains("does not exist"));
    assert!(!test.path("moved/one.txt").exists());
}

/// A step that waits for a program, whose undo does, too.
#[test]
fn an_undo_that_is_cancelled_ends_with_130() {
    let test = Test::new()
        .file("windlass.toml", "[targets.ops]\nexec = [\"sh\"]\n")
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  a:\n    script: a.rhai\n",
        )
        .file(
            "a.rhai",
            "const INPUTS = #{};\nconst OUTPUTS = #{};\nfn run(inputs) { file::write(\"a.txt\", \"x\"); #{} }\nfn undo(inputs, outputs) { exec::run(\"sh\", [\"-c\", \"touch begun; sleep 60\"]); }\n",
        );
    test.windlass(&["run", "w.yaml", "--target", "ops"])
        .expect(0);
    let mut undo = test.start(&["undo", "--yes"]);
    until("the undo has begun", PATIENCE, || {
        let found = Command::new("find")
            .args([test.path("").to_str().expect("text"), "-name", "begun"])
            .output();
        !found.expect("find is there").stdout.is_empty()
    });
    kill_process(Pid::from_child(&undo), Signal::TERM).expect("sent");
    assert_eq!(undo.wait().expect("ended").code(), Some(130));
}

/// A run that waits for a lock is recorded: a job needs its id.
#[test]
fn a_run_that_waits_too_long_for_a_lock_is_printed() {
    let test = Test::new().file(
        "l.yaml",
        "workflow: l\nlock: mesh\nsteps:\n  gate: { approval: go? }\n",
    );
    test.windlass(&["run", "l.yaml"]).expect(3);
    let run = ["run", "l.yaml", "--json", "--lock-timeout", "1s"];
    let waited = test.windlass(&run).expect(3);
    assert_eq!(
        waited.json()["run"],
        id_of_newest(&test),
        "{}",
        waited.stdout
    );
}
