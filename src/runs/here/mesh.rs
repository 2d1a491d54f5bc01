//! Checks who can talk to whom on the rehearsal clusters of a target.

use super::Here;
use crate::{
    error::RunsError,
    handshakes::{Asking, unreadable_mesh},
};
use windlass_ground::lock;
use windlass_mesh::{Handshakes, Matrix};
use windlass_targets::rehearsal_folder;

impl Here {
    /// Tries all handshakes of a target's mesh now. Results for the same material are remembered.
    pub(super) fn try_handshakes(&self, name: &str) -> Result<Handshakes, RunsError> {
        let targets = self.load_targets()?;
        let target = targets.find(name)?;
        if let Some(folder) = rehearsal_folder(target, &self.options.state) {
            let mut matrices = lock(&self.matrices);
            if let Some(matrix) = matrices.get_mut(&folder) {
                return matrix.look().map_err(unreadable_mesh);
            }
            let mut opened = Matrix::open(&folder.join("kube")).map_err(unreadable_mesh)?;
            let seen = opened.look().map_err(unreadable_mesh)?;
            matrices.insert(folder, opened);
            return Ok(seen);
        }
        let Some(target) = target else {
            let message = "the target `local` has rehearsal clusters only";
            return Err(RunsError::broken("target", message));
        };
        let asked = async { Asking::open(name, target).await?.look().await };
        self.drivers.handle().block_on(asked)
    }
}
