//! The worker dies at every moment that there is, each request to the authority fails or loses its answer (or
//! a sample of both), and the outcome is the same.

use super::world::{Site, World, rotation};
use crate::{
    crash::{Outcome, check_nothing_left, on_the_server},
    harness::number_of,
    lost::{Proxy, Trouble},
};

/// Prime, so that over time it falls on every kind of moment. A world of its own for each takes seconds.
const RUN_STRIDE: usize = 79;
const UNDO_STRIDE: usize = 37;

#[test]
fn a_run_whose_worker_died_anywhere_equals_an_uninterrupted_one() {
    let whole = Site::new();
    whole.test.windlass(&rotation()).expect(0);
    let wanted = Outcome::of(&whole.test);
    at_some_moments("run", RUN_STRIDE, |at| {
        let world = World::new(0);
        let has_died = dies_at(&world, at, &rotation());
        has_died.then(|| assert_eq!(Outcome::of(&world.test), wanted, "after a crash at {at}"))
    });
}

#[test]
fn an_undo_whose_worker_died_anywhere_leaves_nothing() {
    at_some_moments("undo", UNDO_STRIDE, |at| {
        let world = World::new(0);
        let address = world.add_worker(&[], &[]);
        world.register_at(&address);
        world.test.windlass(&rotation()).expect(0);
        world.workers.lock().expect("no panic").clear();
        let has_died = dies_at(&world, at, &["undo", "--yes"]);
        has_died.then(|| check_nothing_left(&world.test, at as u64))
    });
}

/// Tries moments until there is no such moment any more.
fn at_some_moments(what: &str, sample: usize, try_it: impl Fn(usize) -> Option<()>) {
    let stride = stride(sample);
    for (tried, at) in (1..).step_by(stride).enumerate() {
        if try_it(at).is_none() {
            println!("crash points of a worker in {what} tried: {tried} of {at}, every {stride}th");
            return;
        }
    }
}

/// Has a command succeed on a worker that dies at a moment, and is replaced. `false` if it did not die.
fn dies_at(world: &World, at: usize, arguments: &[&str]) -> bool {
    let moment = at.to_string();
    let address = world.add_worker(&[], &[("WINDLASS_CRASH_AT", &moment)]);
    world.register_at(&address);
    let workers = world.workers.clone();
    let watch = std::thread::spawn(move || {
        let mut has_died = false;
        super::world::until("the worker dies or the command ends", || {
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
    world.test.windlass(arguments).expect(0);
    let mut workers = world.workers.lock().expect("no panic");
    // Who watches sees that it is over.
    let worker = workers.remove(0);
    drop(workers);
    let has_died = watch.join().expect("no panic");
    // The run is read through it.
    world.workers.lock().expect("no panic").push(worker);
    has_died
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
    number_of("WINDLASS_RESTATE_CRASH_STRIDE", sample)
}

/// Without a retry of its own a step fails, and a resume finds what the lost answer was about.
#[test]
fn a_run_that_failed_of_a_lost_answer_goes_on() {
    let body = "pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"The one\" }, \
                key_algorithm: \"EC_prime256v1\" })";
    let text = format!("workflow: one\nsteps:\n  ca:\n    run: |\n      #{{ arn: {body} }}\n");
    for trouble in [Trouble::Dropped, Trouble::Lost] {
        let world = World::new(1);
        world.test.write("one.yaml", &text);
        let proxy = Proxy::start(world.witness.address.clone(), trouble, 1);
        world.target(&proxy.address);
        world
            .test
            .windlass(&["run", "one.yaml", "--target", "t"])
            .expect(1);
        world.test.windlass(&["resume"]).expect(0);
        let made = on_the_server(&world.test, "SELECT arn FROM authority");
        assert_eq!(made.len(), 1, "{trouble:?}");
        world.test.windlass(&["undo", "--yes"]).expect(0);
        check_nothing_left(&world.test, 0);
    }
}
