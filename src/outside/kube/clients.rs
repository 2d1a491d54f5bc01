use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

use super::{client::KubeClient, clusters::Clusters, target::KubeTarget};
use crate::value::Failure;

/// A client for each cluster of a target, opened on its first use.
#[derive(Clone)]
pub struct KubeClients {
    clusters: Arc<dyn Clusters>,
    open: Arc<Mutex<BTreeMap<String, Arc<OnceCell<KubeClient>>>>>,
}

impl KubeClients {
    pub fn new(clusters: impl Clusters + 'static) -> Self {
        Self {
            clusters: Arc::new(clusters),
            open: Arc::default(),
        }
    }

    /// The roles that the target has; `None` for whatever is asked for.
    pub fn roles(&self) -> Option<BTreeSet<String>> {
        self.clusters.roles()
    }

    /// The client of a role.
    ///
    /// # Errors
    /// A role that the target does not have, a context that the kubeconfig does not have, and a
    /// configuration that can't be used.
    pub async fn client(&self, role: &str) -> Result<KubeClient, Failure> {
        let cell = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.entry(role.to_owned()).or_default().clone()
        };
        let opened = cell.get_or_try_init(|| async {
            let config = self.clusters.open(role).await?;
            KubeClient::connect(role, config)
        });
        opened.await.cloned()
    }
}

impl Default for KubeClients {
    fn default() -> Self {
        Self::new(KubeTarget::default())
    }
}

impl fmt::Debug for KubeClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeClients")
            .field("roles", &self.roles())
            .finish_non_exhaustive()
    }
}
