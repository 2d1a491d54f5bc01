//! The worker dies at every moment that there is, each request to the authority fails or loses its answer (or
//! a sample of both), and the outcome is the same.

use std::env;

use super::world::{Site, World, rotation};
use crate::{
    crash::Outcome,
    lost::{Proxy, Trouble},
};

/// Prime, so that over time it falls on every kind of moment. A run of its own for each takes seconds.
const STRIDE: usize = 37;

#[test]
fn a_run_whose_worker_died_anywhere_equals_an_uninterrupted_one() {
    let stride = stride(STRIDE);
    let whole = Site::new();
    let run = rotation();
    whole.test.windlass(&run).expect(0);
    let wanted = Outcome::of(&whole.test);
    for (tried, at) in (1..).step_by(stride).enumerate() {
        let world = World::new(0);
        let moment = at.to_string();
        let address = world.add_worker(&[], &[("WINDLASS_CRASH_AT", &moment)]);
        world.register_at(&address);
        let workers = world.workers.clone();
        let watch = std::thread::spawn(move || {
            let mut has_died = false;
            super::world::until("the worker dies or the run ends", || {
                let mut workers = workers.lock().expect("no panic");
                let Some(worker) = workers.first_mut() else {
                    return true;
                };
                if worker.has_ended() {
                    worker.replace();
                    has_died = true;
                }
                has_died
            });
            has_died
        });
        world.test.windlass(&run).expect(0);
        world.workers.lock().expect("no panic").clear();
        let has_died = watch.join().expect("no panic");
        if !has_died {
            println!("crash points of a worker tried: {tried} of {at}, every {stride}th");
            return;
        }
        // The worker is gone, and with it who reads the run: another one.
        let address = world.add_worker(&[], &[]);
        world.register_at(&address);
        assert_eq!(Outcome::of(&world.test), wanted, "after a crash at {at}");
    }
}

/// Between requests that are made to fail; there are some twenty.
const LOST_STRIDE: usize = 5;

#[test]
fn a_request_that_fails_or_loses_its_answer_changes_nothing() {
    let run = rotation();
    let whole = Site::new();
    whole.test.windlass(&run).expect(0);
    let (wanted, requests) = (
        Outcome::of(&whole.test),
        whole.witness.take_counts().values().sum(),
    );
    let (mut tried, mut failed) = (0, 0);
    for at in (2..=requests).step_by(stride(LOST_STRIDE)) {
        let trouble = [Trouble::Dropped, Trouble::Lost][tried % 2];
        let world = World::new(1);
        let proxy = Proxy::start(world.witness.address.clone(), trouble, at);
        world.target(&proxy.address);
        let ran = world.test.windlass(&run).expect_one_of(&[0, 1]);
        if ran.code == 1 {
            failed += 1;
            world.test.windlass(&["resume"]).expect(0);
        }
        assert_eq!(Outcome::of(&world.test), wanted, "{trouble:?} request {at}");
        tried += 1;
    }
    println!(
        "requests made to fail on an engine: {tried} of {requests}, dropped and lost in turn; {failed} runs failed and were resumed"
    );
}

fn stride(sample: usize) -> usize {
    env::var("WINDLASS_RESTATE_CRASH_STRIDE").map_or(sample, |text| text.parse().expect("a number"))
}
