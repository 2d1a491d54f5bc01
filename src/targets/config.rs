use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    exec::ExecTarget,
    notify::{HookConfig, NotifyConfig},
    retention::RetentionConfig,
    serve::ServeConfig,
    substrate::SubstrateTarget,
};
use toml::Spanned;
use windlass_cluster::is_cluster_name;
use windlass_mesh::MeshOptions;
use windlass_script::closest;
use windlass_world::{
    outside::{AwsTarget, KubeTarget, PcaTarget},
    value::parse_duration,
};

/// The target that needs no configuration.
pub const LOCAL: &str = "local";

/// The targets that a user can name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of targets")]
pub struct Targets {
    #[serde(default)]
    targets: BTreeMap<String, Target>,
    /// Who may use `windlass serve`.
    #[serde(default)]
    pub serve: ServeConfig,
    /// Who is told what happens in runs.
    #[serde(default)]
    pub notify: NotifyConfig,
    /// Signed requests that start runs, by name.
    #[serde(default)]
    pub hooks: BTreeMap<String, HookConfig>,
    /// Which runs the server deletes, once a day.
    pub retention: Option<RetentionConfig>,
    /// The server whose runs the commands of the terminal are about, instead of those of the state folder.
    pub server: Option<String>,
    /// The CAs (PEM) that the server's certificate has to lead to, instead of those of the system.
    pub server_ca: Option<PathBuf>,
}

/// One environment, as `windlass.toml` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { pca = { region = \"us-east-1\" } }"
)]
pub struct Target {
    #[serde(default)]
    pub pca: PcaTarget,
    /// The other services of AWS; what it does not say is as in `pca`.
    #[serde(default)]
    pub aws: AwsTarget,
    /// Kubernetes clusters: a kubeconfig context for each role that workflows name.
    #[serde(default)]
    pub kube: BTreeMap<String, String>,
    /// Where those contexts are, instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// How long a request to a cluster rides out an API server that can't be reached, restarts or is overloaded.
    #[serde(default, deserialize_with = "duration")]
    pub kube_patience: Option<Duration>,
    /// Which mesh its rehearsal clusters have, of which there is then one for every role, instead of those of `kube`.
    mesh: Option<Spanned<MeshOptions>>,
    /// Its name, where it has rehearsal clusters: they have a folder of this name.
    #[serde(skip)]
    name: String,
    #[serde(default)]
    pub http: HttpTarget,
    /// The programs that scripts may start.
    #[serde(default)]
    pub exec: ExecTarget,
    /// Where its runs are driven; by this process if it is left out.
    pub substrate: Option<SubstrateTarget>,
}

impl Target {
    /// The services of AWS, with what `pca` says of them too.
    pub fn aws(&self) -> AwsTarget {
        self.aws.clone().or(&self.pca)
    }

    /// Which mesh its rehearsal clusters have; `None` if its clusters are those of `kube`.
    pub fn mesh(&self) -> Option<&MeshOptions> {
        self.mesh.as_ref().map(Spanned::get_ref)
    }

    /// Whether its certificate authority is the embedded one: that of a rehearsal that names no other.
    pub fn has_embedded_pca(&self) -> bool {
        self.mesh.is_some() && self.pca == PcaTarget::default()
    }

    /// Where in the state folder its embedded servers are.
    pub(super) fn folder(&self, state: &Path) -> PathBuf {
        state.join("targets").join(&self.name)
    }

    /// The key that contradicts `mesh`, if there is one.
    fn contradiction(&self) -> Option<&'static str> {
        let keys = [
            ("kube", !self.kube.is_empty()),
            ("kubeconfig", self.kubeconfig.is_some()),
            ("kube_patience", self.kube_patience.is_some()),
        ];
        keys.into_iter()
            .find(|(_, is_there)| *is_there && self.mesh.is_some())
            .map(|(key, _)| key)
    }

    /// The Kubernetes clusters that it names.
    pub fn kube(&self) -> KubeTarget {
        KubeTarget {
            contexts: self.kube.clone(),
            kubeconfig: self.kubeconfig.clone(),
            patience: self.kube_patience,
        }
    }
}

/// Reads a duration as people write it: `90s`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(D::Error::custom)
}

/// Which HTTP servers scripts may talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { allow = [\"api.example.com\"] }"
)]
pub struct HttpTarget {
    /// Host names, or `*.domain`; every host if it is left out.
    pub allow: Option<Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a configuration of windlass: {why}")]
    Parse { path: String, why: String },
    #[error("`local` is built in; give the target of {path} another name")]
    Local { path: String },
    #[error("{path}:{line}: the target `{target}` has both `mesh` and `{key}`")]
    TwoMeshes {
        path: String,
        line: usize,
        target: String,
        key: &'static str,
    },
    #[error("{path}:{line}: a target with `mesh` can't have the name {target:?}")]
    Name {
        path: String,
        line: usize,
        target: String,
    },
    #[error("there is no target `{name}`")]
    Unknown { name: String, hint: String },
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { hint, .. } => Some(hint.clone()),
            Self::TwoMeshes { key, .. } => Some(format!(
                "`mesh` makes a rehearsal cluster for every role, `{key}` is for other clusters: leave one of them out"
            )),
            Self::Name { .. } => Some(
                "its clusters have a folder of this name: letters, digits, '-', '_' and '.'".into(),
            ),
            _ => None,
        }
    }
}

impl Targets {
    /// Reads a configuration file. A missing file has no targets unless it was asked for.
    ///
    /// # Errors
    /// A file that can't be read, with unknown keys, or that defines `local`.
    pub fn load(path: &Path, was_asked_for: bool) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !was_asked_for => {
                return Ok(Self::default());
            }
            Err(source) => return Err(ConfigError::Read { path: name, source }),
        };
        let mut targets: Self = toml::from_str(&text).map_err(|e| ConfigError::Parse {
            path: name.clone(),
            why: e.to_string(),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        targets.notify.within(folder);
        if let Some(retention) = &mut targets.retention {
            retention.within(folder);
        }
        for hook in targets.hooks.values_mut() {
            hook.secret.within(folder);
        }
        if targets.targets.contains_key(LOCAL) {
            return Err(ConfigError::Local { path: name });
        }
        for (target, own) in &mut targets.targets {
            own.name.clone_from(target);
            let Some(mesh) = &own.mesh else {
                continue;
            };
            let (path, target) = (name.clone(), target.clone());
            let line = 1 + text[..mesh.span().start].matches('\n').count();
            if !is_cluster_name(&target) {
                return Err(ConfigError::Name { path, line, target });
            }
            if let Some(key) = own.contradiction() {
                return Err(ConfigError::TwoMeshes {
                    path,
                    line,
                    target,
                    key,
                });
            }
        }
        Ok(targets)
    }

    /// The names that a user can give, with the built-in one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str).chain([LOCAL])
    }

    /// Finds a target. `Ok(None)` is the built-in one.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], with the name that was probably meant.
    pub fn find(&self, name: &str) -> Result<Option<&Target>, ConfigError> {
        if name == LOCAL {
            return Ok(None);
        }
        self.targets.get(name).map(Some).ok_or_else(|| {
            let hint = match closest(name, self.names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "targets are written in windlass.toml as [targets.NAME]; there is {}",
                    self.names().collect::<Vec<_>>().join(", ")
                ),
            };
            ConfigError::Unknown {
                name: name.into(),
                hint,
            }
        })
    }
}
