//! What is cached of runs that were looked at lately.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use windlass_ground::lock;
use windlass_journal::RunId;

/// Caches something of each run, up to a number of runs: a further one replaces the one that has not been used for
/// longest.
pub(super) struct Recent<T> {
    /// How many runs are kept.
    most: usize,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    /// By run: the number of the last lookup, and what is cached.
    runs: BTreeMap<RunId, (u64, Arc<Mutex<T>>)>,
    /// The number of lookups.
    looks: u64,
}

impl<T: Default> Recent<T> {
    pub fn new(most: usize) -> Self {
        let kept = Kept {
            runs: BTreeMap::new(),
            looks: 0,
        };
        Self {
            most,
            kept: Mutex::new(kept),
        }
    }

    /// Returns what is cached of a run, or a new cache for it. `forgotten` is called with the run that made room for it.
    pub fn get(&self, run: &RunId, forgotten: impl FnOnce(&RunId)) -> Arc<Mutex<T>> {
        let mut kept = lock(&self.kept);
        kept.looks += 1;
        let looks = kept.looks;
        if let Some((last, found)) = kept.runs.get_mut(run) {
            *last = looks;
            return found.clone();
        }
        if kept.runs.len() >= self.most {
            let oldest = kept.runs.iter().min_by_key(|(_, (last, _))| *last);
            if let Some(oldest) = oldest.map(|(run, _)| run.clone()) {
                kept.runs.remove(&oldest);
                forgotten(&oldest);
            }
        }
        let new = Arc::default();
        kept.runs.insert(run.clone(), (looks, Arc::clone(&new)));
        new
    }

    /// Returns what is cached of a run, without counting as a look.
    #[cfg(any(feature = "restate", test))]
    pub fn peek(&self, run: &RunId) -> Option<Arc<Mutex<T>>> {
        let kept = lock(&self.kept);
        kept.runs.get(run).map(|(_, found)| found.clone())
    }

    pub fn forget(&self, run: &RunId) {
        lock(&self.kept).runs.remove(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_that_nobody_looked_at_for_longest_makes_room() {
        let recent = Recent::<u32>::new(2);
        let [a, b, c] = ["a", "b", "c"].map(|name| RunId::stored(name.into()));
        let mut forgotten = Vec::new();
        for run in [&a, &b, &a, &c] {
            *lock(&recent.get(run, |old| forgotten.push(old.clone()))) += 1;
        }
        assert_eq!(forgotten, std::slice::from_ref(&b));
        let seen = |run| recent.peek(run).map(|found| *lock(&found));
        assert_eq!([seen(&a), seen(&b), seen(&c)], [Some(2), None, Some(1)]);
        recent.forget(&a);
        assert_eq!(seen(&a), None);
    }
}
