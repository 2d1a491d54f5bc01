use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::OnceCell;
use windlass_ground::{boxed, lock};

use super::{client::KubeClient, clusters::Clusters, target::KubeTarget};
use crate::value::{Failure, FailureClass};

/// The clients of a target's clusters, each opened on first use.
#[derive(Clone)]
pub struct KubeClients {
    clusters: Arc<dyn Clusters>,
    /// The roles that the run's workflow names.
    named: Arc<BTreeSet<String>>,
    open: Arc<Mutex<BTreeMap<String, Arc<OnceCell<KubeClient>>>>>,
    is_dry: bool,
}

impl KubeClients {
    /// Creates the clients; only the roles in `named` can be opened.
    pub fn new(clusters: impl Clusters + 'static, named: BTreeSet<String>) -> Self {
        Self {
            clusters: Arc::new(clusters),
            named: Arc::new(named),
            open: Arc::default(),
            is_dry: false,
        }
    }

    /// Returns the clients with all changes sent as dry runs, and without retries.
    pub fn dry(&self) -> Self {
        Self {
            is_dry: true,
            ..self.clone()
        }
    }

    /// Returns the client of a role.
    ///
    /// # Errors
    /// A role that the workflow does not name or the target does not have, a context that the kubeconfig does not have, or a
    /// configuration that can't be used.
    #[boxed]
    pub async fn client(&self, role: &str) -> Result<KubeClient, Failure> {
        if !self.named.contains(role) {
            let why = format!("the run speaks to no Kubernetes cluster `{role}`");
            let operation = format!("connect to {role}");
            let refused = Failure::new(FailureClass::Rejected, operation, "UnknownCluster", why);
            return Err(refused.with_hint(if self.named.is_empty() {
                "name it under `kube:` in the workflow, and its context in the target".into()
            } else {
                let named: Vec<_> = self.named.iter().map(String::as_str).collect();
                format!("the workflow's `kube:` names {}", named.join(", "))
            }));
        }
        let cell = {
            let mut open = lock(&self.open);
            open.entry(role.to_owned()).or_default().clone()
        };
        let opened = cell.get_or_try_init(|| async {
            let access = self.clusters.open(role).await?;
            KubeClient::connect(role, access, self.clusters.patience()).await
        });
        let client = opened.await?;
        Ok(if self.is_dry {
            client.dry().with_patience(Duration::ZERO)
        } else {
            client.clone()
        })
    }
}

impl Default for KubeClients {
    fn default() -> Self {
        Self::new(KubeTarget::default(), BTreeSet::new())
    }
}

impl fmt::Debug for KubeClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeClients")
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}
