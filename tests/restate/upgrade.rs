//! Workers of another version come while runs wait.

use super::world::{World, until};
use crate::harness::status;

const WAITS: &str = "workflow: waits
steps:
  before: { run: 'file::write(\"before.txt\", \"x\"); #{ at: time::now() }' }
  sure: { approval: \"Go on?\", needs: [before] }
  after: { run: 'file::write(\"after.txt\", \"x\")', needs: [sure] }
outputs: { at: \"${{ steps.before.at }}\" }
";

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
