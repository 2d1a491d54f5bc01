//! An attempt that is over stops what it does: no two of one step overlap.

use std::{process::Stdio, time::Duration};

use super::world::{World, until};

/// Counts until the limit of a script's operations.
const COUNTS: &str = "workflow: counts
steps:
  a:
    run: |
      let n = 0;
      while true { n += 1; }
";

const WAITS: &str = "workflow: waits
steps:
  a: { run: 'exec::run(\"sh\", [\"-c\", \"echo $$ > pid; exec sleep 600\"])' }
";

/// Waits until a worker has nothing to do.
fn until_idle(world: &World) {
    let mut before = u64::MAX;
    until("the worker does nothing", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = ticks(world);
        // The engine asks now and then.
        now.saturating_sub(std::mem::replace(&mut before, now)) < 3
    });
}

fn ticks(world: &World) -> u64 {
    world.workers.lock().expect("no panic")[0].ticks()
}

#[test]
fn a_script_that_only_computes_ends() {
    let world = World::new(1);
    world.test.write("counts.yaml", COUNTS);
    let run = ["run", "counts.yaml", "--target", "t"];
    let start = ticks(&world);
    let ran = world.test.windlass(&run).expect(1);
    ran.says("too many operations");
    let whole = ticks(&world) - start;

    let start = ticks(&world);
    let mut run = world.test.command(&run);
    let mut run = run.stderr(Stdio::null()).spawn().expect("windlass starts");
    until("it has begun to count", || {
        ticks(&world) - start > whole / 20
    });
    until("the attempt is killed", || {
        world.servers.lock().expect("no panic")[0].kill_invocation("WindlassStep", "attempt")
    });
    assert_eq!(run.wait().expect("ended").code(), Some(1));
    until_idle(&world);
    let used = ticks(&world) - start;
    assert!(used < whole / 2, "{used} of {whole}");
}

#[test]
fn a_program_ends_with_the_connection_that_asked_for_it() {
    let world = World::new(1);
    world.test.write("waits.yaml", WAITS);
    let config = world.test.read("windlass.toml");
    world
        .test
        .write("windlass.toml", &format!("{config}exec = [\"sh\"]\n"));
    let mut run = world.test.command(&["run", "waits.yaml", "--target", "t"]);
    let mut run = run.stderr(Stdio::null()).spawn().expect("windlass starts");
    let pid = world.test.path("out/pid");
    until("the program runs", || {
        pid.exists() && !world.test.read("out/pid").is_empty()
    });
    let process = format!("/proc/{}", world.test.read("out/pid").trim());
    assert!(std::path::Path::new(&process).exists());
    {
        let server = &mut world.servers.lock().expect("no panic")[0];
        server.kill();
        until("the program is gone", || {
            !std::path::Path::new(&process).exists()
        });
        server.spawn();
        assert!(server.is_ready());
    }
    // Nobody knows how far it came: the next attempt asks, and does not start it again.
    assert_eq!(run.wait().expect("ended").code(), Some(1));
    let shown = world.test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains("in-doubt"), "{shown}");
    world
        .test
        .windlass(&["resume", "--answer", "a=done:#{}"])
        .expect_one_of(&[0, 2]);
}
