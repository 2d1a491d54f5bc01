//! `kill -9` in mid-step, several times in a run: it ends by itself, with nothing done twice.
//!
//! Each kill falls between an act of the certificate authority and the answer to it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    server::Server,
    witness::is_read,
    world::{Site, World, rotation, until},
};
use crate::{
    crash::{Outcome, on_the_server},
    harness::Test,
};

/// Requests of an undisturbed run, and what came of it.
fn undisturbed() -> (BTreeMap<String, usize>, Outcome) {
    let site = Site::new();
    site.test.windlass(&rotation()).expect(0);
    (site.witness.take_counts(), Outcome::of(&site.test))
}

/// Holds a run with kills against an undisturbed one, and says what was asked more than once.
fn check(what: &str, kills: &AtomicUsize, world: &World) {
    let kills = kills.load(Ordering::SeqCst);
    assert!(
        kills >= 3,
        "the run was over before it was killed often enough: {kills}"
    );
    let (wanted, outcome) = undisturbed();
    let counts = world.witness.take_counts();
    assert_eq!(Outcome::of(&world.test), outcome);
    assert_eq!(authorities(&world.test), 2);
    let (mut reads, mut keyed) = (0, 0);
    for (operation, count) in &counts {
        let more = count.saturating_sub(wanted.get(operation).copied().unwrap_or(0));
        if is_read(operation) {
            reads += more
        } else {
            keyed += more
        }
    }
    assert_eq!(
        counts.get("CreateCertificateAuthority"),
        wanted.get("CreateCertificateAuthority"),
        "{counts:?}"
    );
    println!(
        "{what} killed {kills} times in a run: CAs created: 2, effects done twice: 0, reads repeated: {reads}, \
         keyed calls repeated: {keyed}"
    );
    world.test.windlass(&["audit"]).expect(0);
}

fn authorities(test: &Test) -> usize {
    on_the_server(test, "SELECT arn FROM authority").len()
}

#[test]
fn a_worker_dies_in_mid_step() {
    let world = World::new(1);
    let workers = world.workers.clone();
    let kills = world.witness.at_some(&[2, 5, 9, 14, 20], move |_| {
        workers.lock().expect("no panic")[0].replace();
    });
    world.test.windlass(&rotation()).expect(0);
    check("worker", &kills, &world);
}

#[test]
fn the_server_dies_in_mid_step() {
    let world = World::new(1);
    let servers = world.servers.clone();
    let kills = world.witness.at_some(&[3, 8, 15], move |_| {
        let server = &mut servers.lock().expect("no panic")[0];
        server.kill();
        server.spawn();
        assert!(server.is_ready());
    });
    world.test.windlass(&rotation()).expect(0);
    check("server", &kills, &world);
}

#[test]
fn a_node_of_three_dies_in_mid_step() {
    let world = World::at(Site::new(), Server::start_cluster, 1);
    let servers = world.servers.clone();
    let kills = world.witness.at_some(&[3, 8, 15], move |turn| {
        // The first one is where the command line asks.
        let server = &mut servers.lock().expect("no panic")[1 + turn % 2];
        server.kill();
        server.spawn();
    });
    world.test.windlass(&rotation()).expect(0);
    until("all nodes are back", || {
        let mut servers = world.servers.lock().expect("no panic");
        servers.iter_mut().all(Server::is_ready)
    });
    check("node", &kills, &world);
}
