//! Checks who can talk to whom on the rehearsal clusters of a target.

use std::collections::BTreeSet;

use super::Here;
use crate::error::RunsError;
use windlass_cluster::StateError;
use windlass_ground::lock;
use windlass_mesh::{HANDSHAKES, Handshakes, Matrix};
use windlass_targets::{Target, rehearsal_folder};
use windlass_world::outside::KubeClients;

impl Here {
    /// Tries all handshakes of a target's mesh now. Results for the same material are remembered.
    pub(super) fn try_handshakes(&self, target: &str) -> Result<Handshakes, RunsError> {
        let targets = self.load_targets()?;
        let target = targets.find(target)?;
        if let Some(folder) = rehearsal_folder(target, &self.options.state) {
            let mut matrices = lock(&self.matrices);
            if let Some(matrix) = matrices.get_mut(&folder) {
                return matrix.look().map_err(unreadable);
            }
            let mut opened = Matrix::open(&folder.join("kube")).map_err(unreadable)?;
            let seen = opened.look().map_err(unreadable)?;
            matrices.insert(folder, opened);
            return Ok(seen);
        }
        let Some(target) = target else {
            let message = "the target `local` has rehearsal clusters only";
            return Err(RunsError::broken("target", message));
        };
        self.drivers.handle().block_on(ask(target))
    }
}

/// Asks the rehearsal clusters of a target for their handshakes.
///
/// # Errors
/// A target without clusters, or clusters that can't be reached or are not rehearsal clusters.
pub(crate) async fn ask(target: &Target) -> Result<Handshakes, RunsError> {
    let kube = target.kube();
    let roles: BTreeSet<String> = kube.contexts.keys().cloned().collect();
    let role = roles.get("mgmt").or(roles.first()).cloned();
    let role =
        role.ok_or_else(|| RunsError::wrong("target", "this target names no Kubernetes cluster"))?;
    let clients = KubeClients::new(kube, roles);
    let asked = async {
        let client = clients.client(&role).await.map_err(|e| e.to_string())?;
        let asked = client.read_path("try the handshakes", HANDSHAKES).await;
        asked.map_err(|failure| failure.to_string())
    };
    let document = asked.await.map_err(|why| {
        RunsError::conflict("target", why)
            .hint("only rehearsal clusters (windlass kube serve) report their handshakes")
    })?;
    Ok(Handshakes::of_json(&document))
}

fn unreadable(error: StateError) -> RunsError {
    RunsError::broken(
        "target",
        format!("can't read the state of the mesh: {error}"),
    )
}
