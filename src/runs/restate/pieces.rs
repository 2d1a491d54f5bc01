//! A cache of pieces of runs' events that were read recently, limited by a number of bytes. A piece that was dropped is
//! read again from Restate.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use windlass_ground::lock;
use windlass_journal::{Record, RunId};

/// Keeps pieces of events, by their run and the number of their first event.
pub(super) struct Pieces {
    /// How many bytes of events are kept, as they are stored; in memory they take two to three times as much.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pieces: BTreeMap<(RunId, u64), Piece>,
    bytes: usize,
    /// Counts the looks.
    looks: u64,
}

struct Piece {
    records: Arc<Vec<Record>>,
    bytes: usize,
    looked: u64,
}

impl Pieces {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    /// Returns a piece, if it is kept.
    pub fn find(&self, run: &RunId, first: u64) -> Option<Arc<Vec<Record>>> {
        let mut kept = lock(&self.kept);
        kept.looks += 1;
        let looks = kept.looks;
        let piece = kept.pieces.get_mut(&(run.clone(), first))?;
        piece.looked = looks;
        Some(piece.records.clone())
    }

    /// Takes a piece out, so that it can grow.
    pub fn take(&self, run: &RunId, first: u64) -> Option<Arc<Vec<Record>>> {
        lock(&self.kept).remove(&(run.clone(), first))
    }

    /// Keeps a piece in place of the one that begins with the same event, and drops the least recently used ones. This
    /// piece is kept regardless of its size.
    pub fn keep(&self, run: &RunId, first: u64, records: Arc<Vec<Record>>, bytes: usize) {
        let mut kept = lock(&self.kept);
        kept.looks += 1;
        let looked = kept.looks;
        let piece = Piece {
            records,
            bytes,
            looked,
        };
        let before = kept.pieces.insert((run.clone(), first), piece);
        kept.bytes = kept.bytes + bytes - before.map_or(0, |before| before.bytes);
        while kept.bytes > self.most {
            let others = kept.pieces.iter().filter(|(_, it)| it.looked != looked);
            let oldest = others.min_by_key(|(_, it)| it.looked);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            kept.remove(&oldest);
        }
    }

    /// Forgets the events of a run.
    pub fn forget(&self, run: &RunId) {
        let mut kept = lock(&self.kept);
        let all = (run.clone(), 0)..=(run.clone(), u64::MAX);
        let all: Vec<_> = kept.pieces.range(all).map(|(key, _)| key.clone()).collect();
        for key in &all {
            kept.remove(key);
        }
    }
}

impl Kept {
    fn remove(&mut self, key: &(RunId, u64)) -> Option<Arc<Vec<Record>>> {
        let piece = self.pieces.remove(key)?;
        self.bytes -= piece.bytes;
        Some(piece.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> RunId {
        RunId::stored(name.into())
    }

    #[test]
    fn what_nobody_looks_at_makes_room_and_the_newest_piece_always_fits() {
        let pieces = Pieces::new(100);
        let (a, b) = (run("a"), run("b"));
        let keep = |run: &RunId, first, bytes| pieces.keep(run, first, Arc::default(), bytes);
        keep(&a, 0, 40);
        keep(&a, 7, 40);
        assert!(pieces.find(&a, 0).is_some());
        keep(&b, 0, 40);
        assert!(pieces.find(&a, 0).is_some(), "it was looked at since");
        assert!(pieces.find(&a, 7).is_none());
        // One that grows takes the place of itself.
        keep(&b, 0, 60);
        assert!(pieces.find(&a, 0).is_some() && pieces.find(&b, 0).is_some());
        keep(&b, 9, 500);
        assert!(pieces.find(&b, 9).is_some());
        assert!(pieces.find(&a, 0).is_none() && pieces.find(&b, 0).is_none());
        pieces.forget(&b);
        assert_eq!(lock(&pieces.kept).bytes, 0);
    }
}
