//! Exec plugins: programs such as `aws eks get-token` that a kubeconfig names to get a login.
//!
//! As in client-go, a plugin runs once, and again when its login has expired or was rejected; all clients with the same configuration
//! share the login.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, IsTerminal},
    process::Stdio,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::HeaderValue;
use kube::config::{ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::process::Command;
use tokio_rustls::rustls::{
    self, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::login::{Denied, bearer};
use crate::value::MASK;
use windlass_ground::lock;

/// The plugins of this process, by their configuration.
static PLUGINS: LazyLock<Mutex<BTreeMap<String, Arc<Plugin>>>> = LazyLock::new(Mutex::default);
/// How much of a failed plugin's output is shown.
const SHOWN: usize = 4096;
/// Shorter values are not treated as secrets: masking them would make a text unreadable.
const LEAST_MASKED: usize = 4;

/// A program that returns a login, and the last login.
pub struct Plugin {
    config: ExecConfig,
    held: tokio::sync::Mutex<Option<Held>>,
    certificate: RwLock<Option<Arc<CertifiedKey>>>,
    /// How many different certificates it has given.
    certificates: AtomicU64,
}

#[derive(Clone, Debug)]
struct Held {
    token: Option<HeaderValue>,
    until: Option<OffsetDateTime>,
}

/// The output of a plugin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    kind: Option<String>,
    api_version: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Plugin {
    /// Returns the plugin of a configuration, without running it.
    pub fn of(config: ExecConfig) -> Arc<Self> {
        let key = json!([config, config.cluster]).to_string();
        let mut plugins = lock(&PLUGINS);
        let plugin = plugins.entry(key).or_insert_with(|| {
            Arc::new(Self {
                config,
                held: tokio::sync::Mutex::default(),
                certificate: RwLock::default(),
                certificates: AtomicU64::default(),
            })
        });
        plugin.clone()
    }

    /// Returns the bearer token, if the plugin has one; runs the program if there is no valid login.
    pub async fn token(&self) -> Result<Option<HeaderValue>, Denied> {
        let mut held = self.held.lock().await;
        let is_valid = |held: &&Held| {
            held.until
                .is_none_or(|until| OffsetDateTime::now_utc() < until)
        };
        if let Some(held) = held.as_ref().filter(is_valid) {
            return Ok(held.token.clone());
        }
        let gave = self.run().await?;
        let token = gave.token.clone();
        *held = Some(gave);
        Ok(token)
    }

    /// Discards a login that an API server rejected, unless there is a newer one. Returns whether another try makes
    /// sense.
    pub async fn refused(&self, sent: Option<&HeaderValue>) -> bool {
        let mut held = self.held.lock().await;
        if held
            .as_ref()
            .is_some_and(|held| held.token.as_ref() == sent)
        {
            *held = None;
        }
        true
    }

    /// Returns the number of the last certificate.
    pub fn certificate(&self) -> u64 {
        self.certificates.load(Ordering::Relaxed)
    }

    fn name(&self) -> &str {
        self.config.command.as_deref().unwrap_or_default()
    }

    async fn run(&self) -> Result<Held, Denied> {
        let name = self.name();
        if name.is_empty() {
            return Err(Denied::new(
                "the credential plugin of this context has no `command`",
            ));
        }
        let interactive = match self.config.interactive_mode {
            Some(ExecInteractiveMode::Never) => false,
            Some(ExecInteractiveMode::Always) if !io::stdin().is_terminal() => {
                let why = format!(
                    "the credential plugin `{name}` needs a terminal (`interactiveMode: Always`), and there is none"
                );
                return Err(Denied::new(why));
            }
            _ => io::stdin().is_terminal(),
        };
        let output = self
            .command(interactive)
            .output()
            .await
            .map_err(|e| self.not_started(&e))?;
        if !output.status.success() {
            return Err(self.failed(output.status, &output.stderr));
        }
        self.read(&output.stdout)
    }

    fn command(&self, interactive: bool) -> Command {
        let mut command = Command::new(self.name());
        command.args(self.config.args.iter().flatten());
        command.envs(self.environment());
        let mut spec = json!({ "interactive": interactive });
        if let Some(cluster) = &self.config.cluster
            && self.config.provide_cluster_info
        {
            spec["cluster"] = json!(cluster);
        }
        let info = json!({
            "kind": "ExecCredential", "apiVersion": self.config.api_version, "spec": spec,
        });
        command.env("KUBERNETES_EXEC_INFO", info.to_string());
        // Questions of the program must be visible at once; other output is added to its failure.
        if interactive {
            command.stdin(Stdio::inherit()).stderr(Stdio::inherit())
        } else {
            command.stdin(Stdio::null()).stderr(Stdio::piped())
        };
        command.stdout(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn environment(&self) -> impl Iterator<Item = (&String, &String)> {
        let entries = self.config.env.iter().flatten();
        entries.filter_map(|entry| Some((entry.get("name")?, entry.get("value")?)))
    }

    fn not_started(&self, error: &io::Error) -> Denied {
        let name = self.name();
        if error.kind() != io::ErrorKind::NotFound {
            return Denied::new(format!(
                "the credential plugin `{name}` can't be started: {error}"
            ));
        }
        let denied = Denied::new(format!(
            "the credential plugin `{name}`, which the kubeconfig names for this context, is not installed"
        ));
        denied.with_hint(match self.config.install_hint.as_deref() {
            Some(hint) if !hint.trim().is_empty() => hint.trim().to_owned(),
            _ => format!("install `{name}`, or put its folder into PATH"),
        })
    }

    /// Returns the failure with the program's output, without the environment values that the kubeconfig sets for it.
    fn failed(&self, status: std::process::ExitStatus, stderr: &[u8]) -> Denied {
        let mut said = String::from_utf8_lossy(stderr).trim().to_owned();
        for (_, value) in self.environment() {
            if value.len() >= LEAST_MASKED {
                said = said.replace(value.as_str(), MASK);
            }
        }
        let from = said.ceil_char_boundary(said.len().saturating_sub(SHOWN));
        let how = match status.code() {
            Some(code) => format!("failed with exit code {code}"),
            None => format!("failed: {status}"),
        };
        let name = self.name();
        Denied::new(match &said[from..] {
            "" => format!("the credential plugin `{name}` {how}"),
            said => format!("the credential plugin `{name}` {how}: {said}"),
        })
    }

    fn read(&self, printed: &[u8]) -> Result<Held, Denied> {
        let name = self.name();
        let wrong = |why: &str| {
            Denied::new(format!(
                "the credential plugin `{name}` printed no usable login: {why}"
            ))
        };
        // The parser's error would quote its input.
        let read: Credential = serde_json::from_slice(printed).map_err(|e| {
            wrong(&format!(
                "it is not an ExecCredential in JSON (line {})",
                e.line()
            ))
        })?;
        if read
            .kind
            .as_deref()
            .is_some_and(|kind| kind != "ExecCredential")
        {
            return Err(wrong("its `kind` is not ExecCredential"));
        }
        if self.config.api_version.is_some() && read.api_version != self.config.api_version {
            return Err(wrong(
                "its `apiVersion` is not the one that the kubeconfig asks for",
            ));
        }
        let status = read.status.ok_or_else(|| wrong("it has no `status`"))?;
        let text = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let until = match text(status.expiration_timestamp) {
            Some(at) => Some(
                OffsetDateTime::parse(&at, &Rfc3339)
                    .map_err(|_| wrong("its `expirationTimestamp` is not a time"))?,
            ),
            None => None,
        };
        let token = match text(status.token) {
            Some(token) => Some(bearer(&token)?),
            None => None,
        };
        let pair = (
            text(status.client_certificate_data),
            text(status.client_key_data),
        );
        match (&token, pair) {
            (_, (Some(certificate), Some(key))) => {
                let identity = certified(&certificate, &key)
                    .ok_or_else(|| wrong("its client certificate and key can't be used"))?;
                let mut held = self
                    .certificate
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                let is_same = held.as_ref().is_some_and(|held| held.cert == identity.cert);
                *held = Some(Arc::new(identity));
                if !is_same {
                    self.certificates.fetch_add(1, Ordering::Relaxed);
                }
            }
            (Some(_), (None, None)) => {}
            (None, (None, None)) => {
                return Err(wrong("it holds neither a token nor a certificate"));
            }
            _ => return Err(wrong("it holds a certificate or a key without the other")),
        }
        Ok(Held { token, until })
    }
}

fn certified(certificate: &str, key: &str) -> Option<CertifiedKey> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .ok()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).ok()
}

/// Shows only the program: its configuration may contain secrets.
impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.name()).finish()
    }
}

/// Uses the last certificate of the plugin for each new connection.
impl ResolvesClientCert for Plugin {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let held = self
            .certificate
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
