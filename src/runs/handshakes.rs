//! Who can talk to whom on rehearsal clusters that another process serves.

use std::collections::BTreeSet;

use super::error::RunsError;
use windlass_cluster::StateError;
use windlass_mesh::{HANDSHAKES, Handshakes};
use windlass_targets::Target;
use windlass_world::outside::{KubeClient, KubeClients};

/// A mesh whose rehearsal clusters are asked for their handshakes.
pub struct Asking(KubeClient);

impl Asking {
    /// Connects to the rehearsal clusters of the target with this name.
    ///
    /// # Errors
    /// A target without clusters, or clusters that can't be reached.
    pub async fn open(name: &str, target: &Target) -> Result<Self, RunsError> {
        let kube = target.kube();
        let roles: BTreeSet<String> = kube.contexts.keys().cloned().collect();
        let role = roles.get("mgmt").or(roles.first()).cloned();
        let role = role.ok_or_else(|| {
            let message = format!("the target {name} names no Kubernetes cluster");
            RunsError::wrong("target", message)
        })?;
        let clients = KubeClients::new(kube, roles);
        let client = clients.client(&role).await;
        Ok(Self(client.map_err(|e| unanswered(e.to_string()))?))
    }

    /// Asks for the handshakes as they are now.
    ///
    /// # Errors
    /// Clusters that can't be reached, or are not rehearsal clusters.
    pub async fn look(&self) -> Result<Handshakes, RunsError> {
        let asked = self.0.read_path("try the handshakes", HANDSHAKES).await;
        let document = asked.map_err(|failure| unanswered(failure.to_string()))?;
        Ok(Handshakes::of_json(&document))
    }
}

fn unanswered(why: String) -> RunsError {
    RunsError::conflict("target", why)
        .hint("only rehearsal clusters (windlass kube serve) report their handshakes")
}

/// Returns the error for a mesh in a folder whose state can't be read.
pub fn unreadable_mesh(error: StateError) -> RunsError {
    RunsError::broken(
        "target",
        format!("can't read the state of the mesh: {error}"),
    )
}
