//! Answers that prove nothing, as `crate::answers` has them, where an engine drives the run.

use std::{any::Any, thread, time::Duration};

use super::{
    server::Server,
    world::{Worker, join},
};
use crate::{
    answers::{
        CHANGES, Drive, OPERATIONS, POSTS, REFUSALS, REPLIES, Then, answered_post, change,
        delete_in_doubt, post, program, refused_post, tried,
    },
    harness::Test,
};

/// Does something where the runs of each folder are driven by an engine, with a worker of its own for each.
fn on_an_engine(does: impl FnOnce(Drive)) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    let drive = |test: &mut Test| -> Box<dyn Any> {
        join(test, &server);
        let worker = Worker::of(test, &["--out", "out"], &[]);
        server.register(&worker.address);
        Box::new(worker)
    };
    does(Some(&drive));
}

/// Each operation with two of the replies: resumed at once, and undone.
#[test]
fn a10_every_operation_of_pca_is_settled_whatever_it_is_answered() {
    let mut count = 0;
    on_an_engine(|drive| {
        for operation in 0..OPERATIONS.len() {
            for (n, then) in [Then::Resumed, Then::Undone].into_iter().enumerate() {
                let reply = (operation + 3 * n) % REPLIES.len();
                tried(operation + reply * OPERATIONS.len(), then, drive);
                count += 1;
            }
        }
    });
    println!(
        "requests made to fail after the act, on an engine: {count}; CAs orphaned: 0, effects done twice: 0"
    );
}

/// Each call once, every other one undone in place of resumed.
#[test]
fn a10_every_call_to_a_cluster_is_settled_whatever_it_is_answered() {
    on_an_engine(|drive| {
        for n in 0..CHANGES.len() {
            change(n, n % 2 == 1, drive);
        }
    });
}

#[test]
fn a10_a_request_of_a_script_is_settled_whatever_it_is_answered() {
    on_an_engine(|drive| {
        for case in [POSTS[0], POSTS[3]] {
            post(case, drive);
        }
        answered_post(drive);
        refused_post(REFUSALS[2], drive);
        delete_in_doubt(drive);
    });
}

#[test]
fn a10_a_program_that_failed_may_have_done_its_work() {
    on_an_engine(program);
}

const WRITES: &str = "workflow: w
steps:
  s:
    run: |
      file::write(\"a\", \"new\");
      file::write(\"b\", \"new\");
";

/// A file was written and the worker died before it said so. Prime, so that it falls on different kinds of moments.
const STRIDE: usize = 3;

#[test]
fn a10_a_file_whose_writer_died_is_written_and_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    for (died, at) in (1..).step_by(STRIDE).enumerate() {
        let mut test = Test::new().file("w.yaml", WRITES).file("out/a", "old");
        join(&mut test, &server);
        let moment = at.to_string();
        let mut worker = Worker::of(&test, &["--out", "out"], &[("WINDLASS_CRASH_AT", &moment)]);
        server.register(&worker.address);
        let mut run = test.start(&["run", "w.yaml"]);
        let mut has_died = false;
        let code = loop {
            if let Some(status) = run.try_wait().expect("a process") {
                break status.code();
            }
            if worker.has_ended() {
                worker.replace();
                has_died = true;
            }
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(code, Some(0), "after a crash at {at}");
        assert_eq!(
            (test.read("out/a"), test.read("out/b")),
            ("new".into(), "new".into())
        );
        if !has_died {
            assert!(died > 1, "no worker died");
            println!("moments at which a worker died while files were written: {died}");
            return;
        }
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(test.read("out/a"), "old", "after a crash at {at}");
        assert!(!test.path("out/b").exists(), "after a crash at {at}");
    }
}
