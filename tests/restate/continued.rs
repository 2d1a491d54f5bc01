//! What holds when a run is continued holds on Restate as well.

use std::{process::Stdio, time::Instant};

use super::world::{Worker, World, until};
use crate::harness::status;

#[test]
fn an_attempt_that_continues_a_wait_has_its_timeout() {
    let world = World::new(1);
    let file = "workflow: w\nsteps:\n  t:\n    timeout: 2s\n    retry: { attempts: 2, backoff: 100ms..100ms }\n    run: 'time::sleep(\"20s\"); file::write(\"late.txt\", \"x\")'\n";
    world.test.write("w.yaml", file);
    let run = world.test.windlass(&["run", "w.yaml", "--target", "t"]);
    run.expect(1).says("took longer than its timeout of 2");
    assert!(!world.test.path("out/late.txt").exists());
}

/// Time in which no worker drives an attempt does not count, as after a crash on one machine.
#[test]
fn an_outage_takes_nothing_of_a_timeout() {
    let world = World::new(1);
    let file = "workflow: w\nsteps:\n  t:\n    timeout: 6s\n    run: 'file::write(\"one.txt\", \"x\"); time::sleep(\"3s\"); file::write(\"two.txt\", \"x\")'\n";
    world.test.write("w.yaml", file);
    let run = ["run", "w.yaml", "--target", "t", "--detach"];
    let ran = world.test.windlass(&run).expect(0);
    let id = ran.stdout.trim().to_owned();
    ran.says(&format!("windlass logs {id} -f"));
    until("it has begun", || world.test.path("out/one.txt").exists());
    let worker = |what: fn(&mut Worker)| what(&mut world.workers.lock().expect("no panic")[0]);
    worker(Worker::kill);
    let died = Instant::now();
    until("the timeout is over", || died.elapsed().as_secs() > 6);
    worker(Worker::start);
    until("it has ended", || {
        let shown = world.test.command(&["show", &id, "--json"]).output();
        let shown = shown.expect("shown").stdout;
        let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap_or_default();
        assert_ne!(shown["status"], "failed", "{shown}");
        shown["status"] == "succeeded"
    });
    assert!(world.test.path("out/two.txt").exists());
}

/// Workers that do not share a folder see only their own files.
#[test]
fn an_undo_names_the_files_that_another_worker_has() {
    let world = World::new(0);
    let file = "workflow: w\nsteps:\n  a: { run: 'file::write(\"a.txt\", \"x\")' }\n";
    world.test.write("w.yaml", file);
    let one = world.add_worker(&["--out", "one"], &[]);
    world.register_at(&one);
    let run = ["run", "w.yaml", "--target", "t"];
    world.test.windlass(&run).expect(0);
    world.workers.lock().expect("no panic")[0].stop();
    let two = world.add_worker(&["--out", "two"], &[]);
    world.register_at(&two);
    let undone = world.test.windlass(&["undo", "--yes"]).expect(0);
    undone.says("the folder of this worker is another one");
    assert!(world.test.path("one/a.txt").exists());
    // The worker that has it removes it.
    world.test.windlass(&run).expect(0);
    assert!(world.test.path("two/a.txt").exists());
    world.test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!world.test.path("two/a.txt").exists());
}

#[test]
fn a_cancelled_step_gives_its_lock_to_what_tidies_up() {
    let world = World::new(1);
    let file = "workflow: w\nsteps:\n  a: { lock: mesh, run: 'time::sleep(\"60s\")' }\nfinally:\n  tidy: { lock: mesh, run: '()' }\n";
    world.test.write("w.yaml", file);
    let mut run = world.test.command(&["run", "w.yaml", "--target", "t"]);
    let mut run = run.stderr(Stdio::null()).spawn().expect("windlass starts");
    let shown = || {
        let shown = world.test.command(&["show", "--json"]).output();
        serde_json::from_slice(&shown.expect("shown").stdout).unwrap_or_default()
    };
    until("it sleeps", || {
        let shown: serde_json::Value = shown();
        let steps = shown["steps"].as_array().map_or(0, Vec::len);
        steps > 0 && status(&shown, "a") == "running"
    });
    world.test.windlass(&["cancel"]).expect(0);
    run.wait().expect("ended");
    let shown = shown();
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(status(&shown, "tidy"), "succeeded");
}

/// Of two commands that resume a run at the same time, one does nothing, and says so.
#[test]
fn only_the_command_that_resumed_a_run_reports_its_result() {
    let world = World::new(1);
    let file = "workflow: w\nparams: { n: int }\nsteps:\n  one:\n    with: { n: \"${{ params.n }}\" }\n    run: |\n      if inputs.n == 0 { throw \"not yet\"; }\n      time::sleep(\"1s\");\n      #{ n: inputs.n }\n";
    world.test.write("w.yaml", file);
    let run = ["run", "w.yaml", "--target", "t", "-p", "n=0"];
    world.test.windlass(&run).expect(1);
    let id = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    let both = [1, 2].map(|n| {
        let param = format!("n={n}");
        let resume = ["resume", &id, "--edited", "-p", &param, "--yes"];
        let mut resume = world.test.command(&resume);
        let resume = resume.stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        (n, resume.expect("windlass starts"))
    });
    let ended = both.map(|(n, mut resume)| (n, resume.wait().expect("ended").success()));
    let won: Vec<_> = ended.iter().filter(|(_, won)| *won).collect();
    let shown = world.test.shown();
    let steps = shown["steps"].as_array().expect("steps");
    let n = &steps[0]["outputs"]["n"];
    // If the first one has ended before the other begins, both have resumed it.
    let edits = world.test.events();
    let edits = edits.iter().filter(|e| e["event"] == "run_edited").count();
    assert_eq!(won.len(), edits, "{ended:?} {shown}");
    if let [(won, _)] = won[..] {
        assert_eq!(n, won);
    }
}

#[test]
fn what_an_edit_takes_away_is_undone_by_the_script_that_did_it() {
    let world = World::new(1);
    let script = "fn run(inputs) { file::write(\"made\", \"\"); #{} }\nfn undo(inputs, outputs) { file::write(\"undone\", \"\"); }\n";
    let fails = "b: { run: 'throw \"x\"' }";
    world.test.write("a.rhai", script);
    let file = format!("workflow: w\nsteps:\n  a: {{ script: a.rhai }}\n  {fails}\n");
    world.test.write("w.yaml", &file);
    let run = ["run", "w.yaml", "--target", "t"];
    world.test.windlass(&run).expect(1);
    let file = format!("workflow: w\nsteps:\n  {fails}\n");
    world.test.write("w.yaml", &file);
    let edited = world.test.windlass(&["resume", "--edited", "--yes"]);
    edited.expect(1);
    world.test.windlass(&["undo", "--yes"]).expect(0);
    assert!(world.test.path("out/undone").exists());
}
