//! The evidence of a run: what `windlass audit --bundle` writes and shows.

use super::Here;
use crate::{bundle::gather, error::RunsError, service::Evidence};
use windlass_journal::RunId;

impl Here {
    /// Collects and verifies the evidence of a run.
    pub(super) fn gather(&self, id: &RunId) -> Result<Evidence, RunsError> {
        self.refuse_missing(id)?;
        gather(&self.reader, id)
    }
}
