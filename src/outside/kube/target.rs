use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::{
    clusters::{Clusters, Opening},
    failure::causes,
    retry::PATIENCE,
};
use crate::value::{Failure, FailureClass};

/// Stands for the service account of the pod that windlass runs in, where a context is named.
const IN_CLUSTER: &str = "in-cluster";

/// The Kubernetes clusters of a target: kubeconfig contexts by the roles that workflows name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeTarget {
    pub contexts: BTreeMap<String, String>,
    /// Instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// How long a request rides out trouble of an API server; [`PATIENCE`] if it is left out.
    pub patience: Option<Duration>,
}

/// The configuration of the one cluster that a kubeconfig of our own making holds. Nothing of the
/// user's is read, so nothing of it can be sent there by mistake.
///
/// # Errors
/// A text that is no kubeconfig.
pub async fn embedded_cluster(kubeconfig: &str) -> Result<Config, Failure> {
    let wrong = |e: KubeconfigError| {
        Failure::new(
            FailureClass::Rejected,
            "connect",
            "BadKubeconfig",
            causes(&e),
        )
    };
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(wrong)
}

impl Clusters for KubeTarget {
    fn open(&self, role: &str) -> Opening {
        let (target, role) = (self.clone(), role.to_owned());
        Box::pin(async move { target.config(&role).await })
    }

    fn patience(&self) -> Duration {
        self.patience.unwrap_or(PATIENCE)
    }
}

impl KubeTarget {
    fn where_contexts_are(&self) -> String {
        let contexts: Vec<_> = self.contexts.values().map(String::as_str).collect();
        format!(
            "the target's contexts ({}) are looked for there: set KUBECONFIG, or write `kubeconfig = \"FILE\"` in the target",
            contexts.join(", ")
        )
    }

    async fn config(&self, role: &str) -> Result<Config, Failure> {
        let refused = |code: &str, why: String| {
            Failure::new(
                FailureClass::Rejected,
                format!("connect to {role}"),
                code,
                why,
            )
        };
        let Some(context) = self.contexts.get(role) else {
            return Err(refused(
                "UnknownCluster",
                format!("the target has no Kubernetes cluster `{role}`"),
            )
            .with_hint(format!(
                "name its context in windlass.toml: `kube = {{ {role} = \"CONTEXT\" }}`"
            )));
        };
        let wrong = |e: KubeconfigError| match e {
            // It is the same for every cluster, and so are its words.
            KubeconfigError::ReadConfig(why, path) => Failure::new(
                FailureClass::Rejected,
                "read the kubeconfig",
                "NoKubeconfig",
                format!("{}: {why}", path.display()),
            )
            .with_hint(self.where_contexts_are()),
            e => refused("BadKubeconfig", causes(&e)),
        };
        let read = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => match Kubeconfig::from_env() {
                Ok(Some(found)) => Ok(found),
                Ok(None) => Kubeconfig::read(),
                Err(e) => Err(e),
            },
        };
        let knows = |k: &Kubeconfig| k.contexts.iter().any(|c| c.name == *context);
        if context == IN_CLUSTER && !read.as_ref().is_ok_and(knows) {
            return Config::incluster().map_err(|e| refused("NotInCluster", causes(&e)));
        }
        let kubeconfig = read.map_err(wrong)?;
        if !knows(&kubeconfig) {
            let names: Vec<_> = kubeconfig
                .contexts
                .iter()
                .map(|c| c.name.as_str())
                .collect();
            return Err(refused(
                "UnknownContext",
                format!(
                    "the kubeconfig has no context `{context}` (the cluster `{role}` of the target)"
                ),
            )
            .with_hint(match names.as_slice() {
                [] => "it has no context at all".to_owned(),
                names => format!("it has {}", names.join(", ")),
            }));
        }
        let options = KubeConfigOptions {
            context: Some(context.clone()),
            ..KubeConfigOptions::default()
        };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(wrong)
    }
}
