//! What the other commands do with runs on an engine.

use std::process::Stdio;

use rusqlite::Connection;

use super::world::{World, until};
use crate::{
    crash::on_the_server,
    harness::{Test, status},
};

const ASKS: &str = "workflow: asks
lock: the-mesh
steps:
  before: { run: 'file::write(\"before.txt\", \"x\"); #{ at: time::now() }' }
  sure: { approval: \"Go on?\", needs: [before] }
  after: { run: 'file::write(\"after.txt\", \"x\")', needs: [sure] }
";

const FAILS: &str = "workflow: fails
steps:
  first: { run: 'file::write(\"first.txt\", \"x\"); #{ at: time::now() }' }
  second:
    with: { at: \"${{ steps.first.at }}\" }
    run: |
      throw \"not yet\"
outputs: { at: \"${{ steps.first.at }}\" }
";

const SLEEPS: &str = "workflow: sleeps
steps:
  first: { run: 'file::write(\"begun.txt\", \"x\")' }
  long: { run: 'time::sleep(\"10m\")', needs: [first] }
finally:
  last: { run: 'file::write(\"last.txt\", \"x\")' }
";

const HIDES: &str = "workflow: hides
steps:
  make: { run: '#{ key: key::generate(\"EC_prime256v1\") }' }
  keep:
    with: { key: \"${{ steps.make.key }}\" }
    run: |
      file::write_secret(\"key.pem\", inputs.key)
";

#[test]
fn runs_are_approved_cancelled_resumed_undone_and_audited() {
    let world = World::new(1);
    let test = &world.test;
    for (name, text) in [
        ("asks", ASKS),
        ("fails", FAILS),
        ("sleeps", SLEEPS),
        ("hides", HIDES),
    ] {
        test.write(&format!("{name}.yaml"), text);
    }

    // An approval: the run waits as a promise, and goes on by itself. Its lock keeps another one waiting.
    test.windlass(&["run", "asks.yaml"]).expect(3);
    let first = test.shown()["run"].as_str().expect("an id").to_owned();
    let mut second = test.command(&["run", "asks.yaml", "--wait"]);
    let told = std::fs::File::create(test.path("second.log")).expect("a file");
    let mut second = second.stderr(told).spawn().expect("windlass starts");
    until("the second run says what it waits for", || {
        let holder = format!("waits for `the-mesh`, which is held by run {first}");
        test.read("second.log").contains(&holder)
    });
    assert_eq!(runs(&world), 2);
    assert!(!test.windlass(&["logs"]).stdout.contains("before started"));
    test.windlass(&["approve", &first, "sure"]).expect(0);
    test.windlass(&["logs", &first, "-f"]).expect(0);
    assert_eq!(
        test.windlass(&["show", &first, "--json"]).expect(0).json()["status"],
        "succeeded"
    );
    let id = test.shown()["run"].as_str().expect("an id").to_owned();
    until("the second run asks", || {
        status(&test.shown(), "sure") == "waiting"
    });
    test.windlass(&["reject", &id, "sure", "-m", "no"])
        .expect(0);
    assert_eq!(second.wait().expect("ended").code(), Some(1));

    // A failure, mended: what was done stays done.
    test.windlass(&["run", "fails.yaml"]).expect(1);
    test.write("fails.yaml", &FAILS.replace("throw \"not yet\"", "()"));
    let at = test
        .events()
        .iter()
        .find_map(|e| e["outputs"]["at"].as_str().map(str::to_owned));
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(
        test.windlass(&["outputs", "--json"]).expect(0).json()["at"].as_str(),
        at.as_deref()
    );
    let mended = test.shown()["run"].as_str().expect("an id").to_owned();
    test.windlass(&["resume", &mended]).expect(2);

    // A cancel: the sleeping step ends, `finally` runs, and an undo takes all back.
    let mut sleeping = test.command(&["run", "sleeps.yaml"]);
    let mut sleeping = sleeping
        .stderr(Stdio::null())
        .spawn()
        .expect("windlass starts");
    until("it sleeps", || {
        let shown = test.windlass(&["show", "--json"]);
        shown.code == 0
            && shown.json()["workflow"] == "sleeps"
            && status(&shown.json(), "long") == "running"
    });
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(sleeping.wait().expect("ended").code(), Some(130));
    assert!(test.path("out/last.txt").exists());
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/last.txt").exists() && !test.path("out/begun.txt").exists());
    assert_eq!(test.shown()["status"], "undone");

    // A secret: nothing that the engine keeps shows it.
    test.windlass(&["run", "hides.yaml"]).expect(0);
    let key = test.read("out/key.pem");
    let line = key.lines().nth(1).expect("a key").to_owned();
    let kept = walk(&test.path("restate"));
    assert!(!kept.is_empty());
    for (path, content) in kept {
        let found = content.windows(line.len()).any(|w| w == line.as_bytes());
        assert!(!found, "{} holds the key", path.display());
    }

    // The evidence holds without the engine.
    test.windlass(&["audit", "--bundle", "bundle.json"])
        .expect(0);
    let verified = test
        .windlass(&["audit", "--verify", "bundle.json"])
        .expect(0);
    verified.prints("unbroken");
    assert!(!test.read("bundle.json").contains(&line));
    assert_eq!(runs(&world), 5);
}

fn runs(world: &World) -> usize {
    let runs = world.test.windlass(&["runs", "--json"]).expect(0).json();
    runs.as_array().expect("a list").len()
}

/// Every file below a folder.
fn walk(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path))
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap_or_default()))
        }
    }
    files
}

/// Killed in the engine itself, an attempt leaves no record; the next one finds what it made.
#[test]
fn a_ca_of_a_killed_attempt_is_found() {
    let world = World::new(1);
    world.test.write(
        "one.yaml",
        "workflow: one
steps:
  ca:
    run: |
      let subject = #{ common_name: \"The one\" };
      let arn = pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject, key_algorithm: \"EC_prime256v1\" });
      time::sleep(\"10m\");
      #{ arn: arn }
",
    );
    let text = world.test.read("one.yaml");
    let mut run = world.test.command(&["run", "one.yaml", "--target", "t"]);
    let mut run = run.stderr(Stdio::null()).spawn().expect("windlass starts");
    let made = || on_the_server(&world.test, "SELECT arn FROM authority").len();
    until("the CA is there", || made() == 1);
    until("the attempt is killed", || {
        world.servers.lock().expect("no panic")[0].kill_invocation("WindlassStep", "attempt")
    });
    assert_eq!(run.wait().expect("ended").code(), Some(1));
    // AWS forgets a token after five minutes.
    forget_tokens(&world.test);
    world
        .test
        .write("one.yaml", &text.replace("time::sleep(\"10m\");", ""));
    world
        .test
        .windlass(&["resume", "--edited", "--yes"])
        .expect(0);
    assert_eq!(made(), 1);
}

/// What the authority knows of idempotency tokens is gone.
fn forget_tokens(test: &Test) {
    let database = Connection::open(test.path(".windlass/pca/authority.db"));
    let database = database.expect("the authority's state");
    database
        .execute("DELETE FROM token", [])
        .expect("forgotten");
}
