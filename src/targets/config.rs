use std::{
    collections::BTreeMap,
    fs, io,
    net::Ipv6Addr,
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
use windlass_ground::{closest, did_you_mean};
use windlass_mesh::MeshOptions;
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
    /// Which receivers get which notifications.
    #[serde(default)]
    pub notify: NotifyConfig,
    /// Signed requests that start runs, by name.
    #[serde(default)]
    pub hooks: BTreeMap<String, HookConfig>,
    /// Which runs the server deletes, once a day.
    pub retention: Option<RetentionConfig>,
    /// The server whose runs the commands of the terminal use, instead of those of the state folder.
    pub server: Option<String>,
    /// The CAs (PEM) that must have issued the server's certificate, instead of those of the system.
    pub server_ca: Option<PathBuf>,
}

/// One environment of `windlass.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { pca = { region = \"us-east-1\" } }"
)]
pub struct Target {
    #[serde(default)]
    pub pca: PcaTarget,
    /// The other AWS services; settings that are left out are as in `pca`.
    #[serde(default)]
    pub aws: AwsTarget,
    /// Kubernetes clusters: a kubeconfig context for each role that workflows name.
    #[serde(default)]
    pub kube: BTreeMap<String, String>,
    /// The file with those contexts, instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// How long a request is retried while an API server can't be reached, restarts or is overloaded.
    #[serde(default, deserialize_with = "duration")]
    pub kube_patience: Option<Duration>,
    /// The mesh of its rehearsal clusters. If it is set, every role has a rehearsal cluster, and `kube` is not used.
    mesh: Option<Spanned<MeshOptions>>,
    /// The target's name, if it has rehearsal clusters: they have a folder of this name.
    #[serde(skip)]
    name: String,
    #[serde(default)]
    pub http: HttpTarget,
    /// The programs that scripts may start.
    #[serde(default)]
    pub exec: ExecTarget,
    /// Where its runs are driven: in this process if it is left out.
    pub substrate: Option<SubstrateTarget>,
}

impl Target {
    /// Returns the settings of the AWS services; those that are left out are taken from `pca`.
    pub fn aws(&self) -> AwsTarget {
        self.aws.clone().or(&self.pca)
    }

    /// Returns the mesh of its rehearsal clusters; `None` if its clusters are those of `kube`.
    pub fn mesh(&self) -> Option<&MeshOptions> {
        self.mesh.as_ref().map(Spanned::get_ref)
    }

    /// Says whether it uses the embedded certificate authority, as a rehearsal does that names no other.
    pub fn has_embedded_pca(&self) -> bool {
        self.mesh.is_some() && self.pca == PcaTarget::default()
    }

    /// Returns the folder of its embedded servers in the state folder.
    pub(super) fn folder(&self, state: &Path) -> PathBuf {
        state.join("targets").join(&self.name)
    }

    /// Returns the key that contradicts `mesh`, if any.
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

    /// Returns its Kubernetes clusters.
    pub fn kube(&self) -> KubeTarget {
        KubeTarget {
            contexts: self.kube.clone(),
            kubeconfig: self.kubeconfig.clone(),
            patience: self.kube_patience,
        }
    }
}

/// Reads a duration such as `90s`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(D::Error::custom)
}

/// The HTTP servers that scripts may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { allow = [\"api.example.com\"] }"
)]
pub struct HttpTarget {
    /// Host names, or `*.domain`; all hosts if it is left out.
    #[serde(default, deserialize_with = "hosts")]
    pub allow: Option<Vec<String>>,
}

/// Reads host names. What never equals the host of a URL is a mistake.
fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let hosts = Option::<Vec<String>>::deserialize(deserializer)?;
    let mut all = hosts.iter().flatten();
    match all.find(|host| !is_host(host)) {
        None => Ok(hosts),
        Some(wrong) => Err(D::Error::custom(format!(
            "`{wrong}` is not a host: write a name without scheme and port, such as `api.example.com`, in Punycode if it has other letters (`xn--…`), or `*.example.com` for all below it; leave out `allow` for all hosts"
        ))),
    }
}

fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let inside = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if inside.unwrap_or(name).parse::<Ipv6Addr>().is_ok() {
        return name == text;
    }
    // The host of a URL is in Punycode.
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !name.is_empty() && name.chars().all(is_of_name)
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a valid configuration file: {why}")]
    Parse { path: String, why: String },
    #[error("`local` is the built-in target; use another name for the target in {path}")]
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
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { hint, .. } => Some(hint.clone()),
            Self::TwoMeshes { key, .. } => Some(format!(
                "`mesh` creates a rehearsal cluster for every role, `{key}` is for other clusters: remove one of them"
            )),
            Self::Name { .. } => Some(
                "use letters, digits, '-', '_' and '.': the clusters get a folder with this name"
                    .into(),
            ),
            _ => None,
        }
    }
}

impl Targets {
    /// Returns the folder for the evidence of runs that are deleted.
    pub fn bundles(self) -> Option<PathBuf> {
        self.retention.and_then(|retention| retention.bundles)
    }

    /// Reads a configuration file. A missing file has no targets, and is an error if the user asked for it.
    ///
    /// # Errors
    /// A file that can't be read, has unknown keys or defines `local`.
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

    /// Returns the names that a user can give, with the built-in target.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str).chain([LOCAL])
    }

    /// Finds a target. `Ok(None)` is the built-in target.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], with the name that was probably meant.
    pub fn find(&self, name: &str) -> Result<Option<&Target>, ConfigError> {
        if name == LOCAL {
            return Ok(None);
        }
        self.targets.get(name).map(Some).ok_or_else(|| {
            let hint = match closest(name, self.names()) {
                Some(near) => did_you_mean(near),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_the_host_of_a_url_is_refused() {
        for host in [
            "a.example",
            "*.b.example",
            "localhost",
            "127.0.0.1",
            "::1",
            "[::1]",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "*",
            "*.",
            "",
            "h:8443",
            "http://h",
            "h/x",
            "münchen.de",
            "*.[::1]",
        ] {
            assert!(!is_host(host), "{host}");
        }
        let error = toml::from_str::<HttpTarget>("allow = [\"a\", \"h:1\"]").expect_err("a port");
        assert!(error.to_string().contains("`h:1` is not a host"), "{error}");
        let none: HttpTarget = toml::from_str("").expect("all hosts");
        assert_eq!(none.allow, None);
    }
}
