//! Caches the log lines of runs while people read them.

use std::sync::Arc;

use super::Here;
use crate::{
    error::RunsError,
    log::{Lines, LogLine},
    recent::Recent,
};
use windlass_ground::lock;
use windlass_journal::RunId;

/// How many logs are kept.
const KEPT: usize = 8;

/// The logs that were read recently.
pub(super) struct Logs {
    kept: Recent<Lines>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            kept: Recent::new(KEPT),
        }
    }
}

impl Here {
    /// Returns all lines of a run's log.
    pub(super) fn lines(&self, id: &RunId) -> Result<Arc<Vec<LogLine>>, RunsError> {
        self.refuse_missing(id)?;
        let log = self.logs.kept.get(id, |_| ());
        let lines = lock(&log).read(&self.reader, id);
        if lines.is_err() {
            self.logs.kept.forget(id);
        }
        lines
    }
}
