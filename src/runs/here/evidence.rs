//! The evidence of a run: what `windlass audit --bundle` writes and shows.

use super::Here;
use crate::{bundle::gather, error::RunsError, service::Evidence};
use windlass_engine::journal::RunId;

impl Here {
    /// Gathers and verifies all that a run proves.
    pub(super) fn gather(&self, id: &RunId) -> Result<Evidence, RunsError> {
        self.refuse_missing(id)?;
        gather(&self.reader, id)
    }
}
