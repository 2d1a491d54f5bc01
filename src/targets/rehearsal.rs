use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::config::Target;
use windlass_cluster::{Server, is_cluster_name, kubeconfig};
use windlass_ground::lock;
use windlass_mesh::{MeshOptions, member};
use windlass_world::{
    outside::{Clusters, Opening, embedded_cluster},
    value::{Failure, FailureClass, causes},
};

/// Returns the folder of a target's embedded servers: for the built-in target (`None`) the state folder itself, for a target with
/// `mesh` a folder of its name in it. Returns `None` for a target whose clusters are elsewhere.
pub fn rehearsal_folder(target: Option<&Target>, state: &Path) -> Option<PathBuf> {
    match target {
        None => Some(state.to_owned()),
        Some(target) => target.mesh().map(|_| target.folder(state)),
    }
}

/// Embedded clusters: one for each role that is asked for, in a folder of its own.
pub(super) struct Rehearsal {
    folder: PathBuf,
    /// The mesh of the target; if `None`, the clusters keep the mesh that they have.
    mesh: Option<MeshOptions>,
    /// The running servers, which stop when they are dropped.
    servers: Arc<Mutex<BTreeMap<String, Server>>>,
}

impl Rehearsal {
    /// Creates the clusters in the folder of a target.
    pub fn new(folder: &Path, mesh: Option<&MeshOptions>) -> Self {
        Self {
            folder: folder.join("kube"),
            mesh: mesh.cloned(),
            servers: Arc::default(),
        }
    }
}

impl Clusters for Rehearsal {
    fn open(&self, role: &str) -> Opening {
        let (folder, mesh) = (self.folder.clone(), self.mesh.clone());
        let (servers, role) = (self.servers.clone(), role.to_owned());
        Box::pin(async move {
            let failed = |error: &(dyn std::error::Error + 'static)| {
                let operation = format!("start the rehearsal cluster {role}");
                Failure::new(
                    FailureClass::Unavailable,
                    operation,
                    "CannotStart",
                    causes(error),
                )
            };
            // The role is checked here: a worker receives the roles of a run from outside, with its start.
            if !is_cluster_name(&role) {
                return Err(failed(&BadName));
            }
            let server = Server::start(member(&folder, &role, mesh.as_ref()))
                .await
                .map_err(|e| failed(&e))?;
            let access = server.access();
            lock(&servers).insert(role.clone(), server);
            embedded_cluster(&kubeconfig(&[access])).await
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name of a cluster must consist of letters, digits, '-', '_' and '.'")]
struct BadName;
