use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, PoisonError},
};

use windlass_ground::lock;
use windlass_world::value::Digest;

/// Makes requests with the same key wait for each other.
#[derive(Default)]
pub struct Turns {
    taken: Mutex<BTreeSet<Digest>>,
    given: Condvar,
}

/// Holds the turn of a key until it is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    key: Digest,
}

impl Turns {
    /// Waits until no other request has the turn of this key.
    pub fn take(&self, key: Digest) -> Turn<'_> {
        let mut taken = lock(&self.taken);
        while !taken.insert(key) {
            let woken = self.given.wait(taken);
            taken = woken.unwrap_or_else(PoisonError::into_inner);
        }
        Turn { turns: self, key }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.turns.taken).remove(&self.key);
        self.turns.given.notify_all();
    }
}
