//! Workers of another version come while runs wait.

use std::fs;

use super::world::{World, until};
use crate::harness::{Ends, status};

const WAITS: &str = "workflow: waits
steps:
  before: { run: 'file::write(\"before.txt\", \"x\"); #{ at: time::now() }' }
  sure: { approval: \"Go on?\", needs: [before] }
  after: { run: 'file::write(\"after.txt\", \"x\")', needs: [sure] }
outputs: { at: \"${{ steps.before.at }}\" }
";

/// The query of the documentation that lists what still needs a deployment.
fn documented() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/distributed.md");
    let text = fs::read_to_string(path).expect("the page");
    let (_, query) = text.split_once("```sql\n").expect("a query");
    query.split_once("```").expect("its end").0.to_owned()
}

/// Starts a worker of its own at an address, which registers itself, and waits until it says something.
fn registered(world: &World, options: &[&str], wanted: &str) -> (Ends, String) {
    let admin = world.servers.lock().expect("no panic")[0].admin_url();
    let file = world.test.path("said");
    let options = [&["worker", "--register", &admin], options].concat();
    let mut command = world.test.command(&options);
    let said = fs::File::create(&file).expect("created");
    let (child, line) = Ends::listening(command.stderr(said));
    let address = line.split_once("://").expect("an address").1.to_owned();
    until(wanted, || {
        fs::read_to_string(&file).expect("read").contains(wanted)
    });
    (child, address)
}

#[test]
fn a_worker_that_is_rolled_back_takes_new_runs_when_it_is_told_to() {
    let world = World::new(0);
    let test = &world.test;
    test.write(
        "one.yaml",
        "workflow: one\nsteps:\n  a: { run: 'file::write(\"a.txt\", \"x\")' }\n",
    );
    let (first, old) = registered(
        &world,
        &["--listen", "127.0.0.1:0", "--out", "old"],
        "registered",
    );
    let (second, new) = registered(
        &world,
        &["--listen", "127.0.0.1:0", "--out", "new"],
        "registered",
    );
    // The newer version is taken away; the older one starts again.
    drop((first, second));
    let again = ["--listen", &old, "--out", "old"];
    let wanted = format!("new runs go to the workers at http://{new}");
    let (ignored, _) = registered(&world, &again, &wanted);
    drop(ignored);
    let forced = [&again[..], &["--force"]].concat();
    let (_forced, _) = registered(&world, &forced, "registered");
    test.windlass(&["run", "one.yaml", "--target", "t"])
        .expect(0);
    assert!(test.path("old/a.txt").exists() && !test.path("new/a.txt").exists());
}

#[test]
fn a_registration_that_is_refused_says_what_to_do() {
    let world = World::new(0);
    let server = &world.servers.lock().expect("no panic")[0];
    let (admin, ingress) = (server.admin_url(), server.ingress_url());
    let key = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f";
    let refused = |options: &[&str], why: &str, hint: &str| {
        let worker = ["worker", "--listen", "127.0.0.1:0"];
        let ran = world.test.windlass(&[&worker, options].concat());
        assert_ne!(ran.code, 0, "{options:?}");
        ran.says(why);
        ran.says(hint);
    };
    let away = ["--register", "http://127.0.0.1:1"];
    refused(
        &away,
        "can't reach Restate",
        "names the admin API of the Restate server",
    );
    let no_url = ["--register", "127.0.0.1:9070"];
    refused(&no_url, "can't reach Restate", "http://HOST:9070");
    let wrong_port = ["--register", &ingress];
    refused(
        &wrong_port,
        "is the ingress of a Restate server, not its admin API",
        "9070",
    );
    let lost = ["--register", &admin, "--advertise", "http://127.0.0.1:1"];
    refused(
        &lost,
        "Restate can't use the worker at http://127.0.0.1:1",
        "--advertise names the address",
    );
    let no_url = ["--register", &admin, "--advertise", "worker:9080"];
    refused(&no_url, "is not absolute", "--advertise is a URL");
    let unsigned = ["--register", &admin, "--identity-key", key];
    refused(
        &unsigned,
        "401",
        "--identity-key must be the public key of this server",
    );
}

#[test]
fn new_work_goes_to_the_new_ones_and_waiting_runs_end_or_move() {
    let world = World::new(1);
    let test = &world.test;
    test.write("waits.yaml", WAITS);
    let begin = || {
        test.windlass(&["run", "waits.yaml", "--target", "t"])
            .expect(3);
        test.shown()["run"].as_str().expect("an id").to_owned()
    };
    let (ends, moves) = (begin(), begin());
    let old = world.servers.lock().expect("no panic")[0].deployments();
    // The new one's files tell which worker did what.
    let address = world.add_worker(&["--out", "new"], &[]);
    world.register_at(&address);
    let unfinished =
        |deployment: &str| world.servers.lock().expect("no panic")[0].unfinished_of(deployment);
    assert_eq!(unfinished(&old[0]), 2);
    let listed = world.servers.lock().expect("no panic")[0].query(&documented());
    let rows = listed["rows"].as_array().expect("rows").iter();
    let drivers: Vec<_> = rows
        .filter(|row| row["pinned_deployment_id"] == *old[0])
        .collect();
    assert_eq!(drivers.len(), 2, "{listed}");
    for driver in drivers {
        let target = driver["target"].as_str().expect("a target");
        assert!(target.ends_with("/drive"), "{listed}");
        assert!(driver["endpoint"].is_string(), "{listed}");
    }

    // A driver that waits ends where it began; what it starts goes to the new one.
    test.windlass(&["approve", &ends, "sure"]).expect(0);
    test.windlass(&["logs", &ends, "-f"]).expect(0);
    assert!(test.path("new/after.txt").exists() && !test.path("out/after.txt").exists());
    assert_eq!(unfinished(&old[0]), 1);

    // One that waits too long is moved: what it did stays done.
    test.windlass(&["cancel", &moves]).expect(0);
    until("it is cancelled", || {
        let shown = test.windlass(&["show", &moves, "--json"]).expect(0).json();
        shown["status"] == "cancelled"
    });
    until("the old one has nothing left", || unfinished(&old[0]) == 0);
    world.workers.lock().expect("no panic").remove(0);
    let first = test.windlass(&["logs", &moves]).expect(0).stdout;
    test.windlass(&["resume", &moves]).expect(3);
    test.windlass(&["approve", &moves, "sure"]).expect(0);
    test.windlass(&["logs", &moves, "-f"]).expect(0);
    let shown = test.windlass(&["show", &moves, "--json"]).expect(0).json();
    assert_eq!(shown["status"], "succeeded");
    assert_eq!(status(&shown, "after"), "succeeded");
    assert!(!test.path("new/before.txt").exists());
    let logs = test.windlass(&["logs", &moves]).expect(0).stdout;
    assert!(logs.starts_with(first.trim_end()));
}
