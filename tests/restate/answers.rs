//! Answers that prove nothing, as `crate::answers` has them, where an engine drives the run.

use std::any::Any;

use super::{server::Server, world::Worker};
use crate::{
    answers::{OPERATIONS, REPLIES, Then, tried},
    harness::Test,
};

/// Each operation with two of the replies: resumed at once, and undone.
#[test]
fn a10_every_operation_of_pca_is_settled_whatever_it_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    let drive = |test: &mut Test| -> Box<dyn Any> {
        test.set("WINDLASS_ON", "restate");
        test.set("WINDLASS_RESTATE", &server.ingress_url());
        test.set("WINDLASS_RESTATE_ADMIN", &server.admin_url());
        let worker = Worker::of(test, &["--out", "out"], &[]);
        server.register(&worker.address);
        Box::new(worker)
    };
    let mut count = 0;
    for operation in 0..OPERATIONS.len() {
        for (n, then) in [Then::Resumed, Then::Undone].into_iter().enumerate() {
            let reply = (operation + 3 * n) % REPLIES.len();
            tried(operation + reply * OPERATIONS.len(), then, Some(&drive));
            count += 1;
        }
    }
    println!(
        "requests made to fail after the act, on an engine: {count}; CAs orphaned: 0, effects done twice: 0"
    );
}
