use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use windlass_cluster::{Server, is_cluster_name, kubeconfig};
use windlass_mesh as mesh;
use windlass_world::{
    outside::{Clusters, Opening, embedded_cluster},
    value::{Failure, FailureClass},
};

/// The embedded clusters of the target `local`: whatever role is asked for, in a folder of its own.
pub(super) struct Rehearsal {
    folder: PathBuf,
    /// Dropping them stops them.
    servers: Arc<Mutex<BTreeMap<String, Server>>>,
}

impl Rehearsal {
    pub fn new(state: &Path) -> Self {
        Self {
            folder: state.join("kube"),
            servers: Arc::default(),
        }
    }
}

impl Clusters for Rehearsal {
    fn open(&self, role: &str) -> Opening {
        let folder = self.folder.clone();
        let (servers, role) = (self.servers.clone(), role.to_owned());
        Box::pin(async move {
            let failed = |error: &dyn std::error::Error| {
                let operation = format!("start the rehearsal cluster {role}");
                Failure::new(
                    FailureClass::Unavailable,
                    operation,
                    "CannotStart",
                    causes(error),
                )
            };
            // A worker receives the roles of a run with its start.
            if !is_cluster_name(&role) {
                return Err(failed(&BadName));
            }
            let server = Server::start(mesh::member(&folder, &role, None))
                .await
                .map_err(|e| failed(&e))?;
            let access = server.access();
            servers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(role.clone(), server);
            embedded_cluster(&kubeconfig(&[access])).await
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a cluster's name has letters, digits, '-', '_' and '.'")]
struct BadName;

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
