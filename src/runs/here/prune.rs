//! Deletes old runs of this machine's state folder.

use super::Here;
use crate::{
    error::RunsError,
    prune::{Pruning, Retention, prune},
    service::Person,
};

impl Here {
    /// Deletes runs; their evidence is written to the folder in `[retention]`.
    pub(super) fn prune_runs(
        &self,
        wanted: &Retention,
        who: &Person,
    ) -> Result<Pruning, RunsError> {
        let bundles = self.load_targets()?.bundles();
        prune(&self.reader, wanted, bundles.as_deref(), &who.name)
    }
}
