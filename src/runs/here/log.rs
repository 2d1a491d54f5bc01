//! Caches the log lines of runs while people read them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::Here;
use crate::{
    drivers::lock,
    error::RunsError,
    log::{Lines, LogLine},
};
use windlass_engine::journal::RunId;

/// How many logs are kept.
const KEPT: usize = 8;

/// The logs that were read recently.
#[derive(Default)]
pub(super) struct Logs {
    kept: Mutex<BTreeMap<RunId, Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The number of lookups: the log with the highest number was read last.
    look: u64,
    lines: Arc<Mutex<Lines>>,
}

impl Here {
    /// Returns all lines of a run's log.
    pub(super) fn lines(&self, id: &RunId) -> Result<Arc<Vec<LogLine>>, RunsError> {
        self.refuse_missing(id)?;
        let log = self.logs.take(id);
        let lines = lock(&log).read(&self.reader, id);
        if lines.is_err() {
            lock(&self.logs.kept).remove(id);
        }
        lines
    }
}

impl Logs {
    fn take(&self, run: &RunId) -> Arc<Mutex<Lines>> {
        let mut kept = lock(&self.kept);
        let newest = kept.values().map(|kept| kept.look).max().unwrap_or(0) + 1;
        if !kept.contains_key(run) && kept.len() >= KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.look);
            if let Some(oldest) = oldest.map(|(run, _)| run.clone()) {
                kept.remove(&oldest);
            }
        }
        let found = kept.entry(run.clone()).or_default();
        found.look = newest;
        found.lines.clone()
    }
}
