use std::{collections::BTreeMap, env, io, path::PathBuf, time::Duration};

use kube::config::{Config, Kubeconfig, KubeconfigError};
use windlass_ground::boxed;

use super::{
    super::proxy::Proxies,
    authority::authorities,
    clusters::{Clusters, Opening},
    connect::Access,
    retry::PATIENCE,
};
use crate::value::{Failure, FailureClass, causes};

/// The context name that stands for the service account of the pod in which windlass runs.
const IN_CLUSTER: &str = "in-cluster";

/// The Kubernetes clusters of a target: kubeconfig contexts by the roles that workflows name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeTarget {
    pub contexts: BTreeMap<String, String>,
    /// Read instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// How long a failed request to an API server is retried; 30 seconds if it is left out.
    pub patience: Option<Duration>,
}

/// Returns the access to the single cluster in a kubeconfig that windlass generated. Nothing of the user's configuration is read, so nothing of
/// it can be sent there by mistake, and no proxy is used.
///
/// # Errors
/// A text that is not a kubeconfig.
#[boxed]
pub async fn embedded_cluster(kubeconfig: &str) -> Result<Access, Failure> {
    let wrong = |e: KubeconfigError| bad("connect", causes(&e));
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(wrong)?;
    let context = kubeconfig.current_context.clone().unwrap_or_default();
    Access::of_kubeconfig(kubeconfig, &context, None, &Proxies::default())
        .await
        .map_err(|e| e.failure("connect"))
}

fn bad(operation: &str, why: String) -> Failure {
    Failure::new(FailureClass::Rejected, operation, "BadKubeconfig", why)
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

    async fn config(&self, role: &str) -> Result<Access, Failure> {
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
        let read = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => match of_environment() {
                Some(read) => read,
                None => Kubeconfig::read(),
            },
        };
        let knows = |k: &Kubeconfig| k.contexts.iter().any(|c| c.name == *context);
        if context == IN_CLUSTER && !read.as_ref().is_ok_and(knows) {
            let config = Config::incluster().map_err(|e| refused("NotInCluster", causes(&e)))?;
            return Access::of_pod(config, &Proxies::of_environment())
                .map_err(|e| e.failure(&format!("connect to {role}")));
        }
        let kubeconfig = read.map_err(|e| match e {
            // The error is the same for every cluster, so its text is, too.
            KubeconfigError::ReadConfig(why, path) => Failure::new(
                FailureClass::Rejected,
                "read the kubeconfig",
                "NoKubeconfig",
                format!("{}: {why}", path.display()),
            )
            .with_hint(self.where_contexts_are()),
            e => bad(&format!("connect to {role}"), causes(&e)),
        })?;
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
        let trusted =
            authorities(&kubeconfig, context).map_err(|why| refused("BadKubeconfig", why))?;
        Access::of_kubeconfig(kubeconfig, context, trusted, &Proxies::of_environment())
            .await
            .map_err(|e| e.failure(&format!("connect to {role}")))
    }
}

/// Reads the kubeconfigs that `KUBECONFIG` lists; `None` if it lists none.
///
/// As client-go does, it skips files that do not exist, unless none of them exists.
fn of_environment() -> Option<Result<Kubeconfig, KubeconfigError>> {
    let list = env::var_os("KUBECONFIG")?;
    let paths = env::split_paths(&list).filter(|path| !path.as_os_str().is_empty());
    let paths: Vec<_> = paths.collect();
    let first = paths.first()?;
    let is_there = |path: &&PathBuf| path.try_exists().unwrap_or(true);
    let there: Vec<_> = paths.iter().filter(is_there).collect();
    if there.is_empty() {
        let why = match paths.len() {
            1 => "it does not exist".to_owned(),
            count => format!("none of the {count} files that KUBECONFIG lists exists"),
        };
        let missing = io::Error::new(io::ErrorKind::NotFound, why);
        return Some(Err(KubeconfigError::ReadConfig(missing, first.clone())));
    }
    let read = there
        .into_iter()
        .try_fold(Kubeconfig::default(), |all, path| {
            Kubeconfig::read_from(path).and_then(|next| all.merge(next))
        });
    Some(read)
}
