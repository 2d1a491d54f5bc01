use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use windlass_notify::Outbox;
use windlass_runs::Runs;
use windlass_targets::ServeConfig;
use windlass_triggers::Triggers;

/// What a server stands on.
pub struct DeskOptions {
    pub listen: SocketAddr,
    /// The files of the certificate chain and of its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub config: ServeConfig,
    /// Where sessions are kept.
    pub state: PathBuf,
    /// The token of who started the server, on loopback.
    pub owner: Option<Secured>,
    pub runs: Arc<dyn Runs>,
    pub triggers: Arc<Triggers>,
    pub outbox: Arc<Outbox>,
}

/// A token and who it stands for.
#[derive(Clone)]
pub struct Secured {
    pub name: String,
    pub token: String,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("can't listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("refuses to listen on {0} without TLS: other machines can reach it")]
    Plain(SocketAddr),
    #[error("`client_ca` needs TLS: without it no client can prove anything by a certificate")]
    NoTlsForClients,
    #[error("can't use the provider of `[serve.oidc]`: {0}")]
    Provider(String),
    #[error("refuses to listen on {0}: nobody can log in")]
    NoTokens(SocketAddr),
    #[error("refuses to listen on {0}: it is not known under which name browsers reach it")]
    NoHosts(SocketAddr),
    #[error("can't use the certificate {path}: {why}")]
    Certificate { path: String, why: String },
    #[error("can't keep sessions")]
    Sessions(#[from] rusqlite::Error),
    #[error("the system gave no randomness")]
    NoRandomness,
}

impl Refused {
    /// Says what to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => {
                Some("give it a certificate with --tls-cert and --tls-key, or listen on 127.0.0.1")
            }
            Self::NoTokens(_) => Some(
                "write in windlass.toml who may: [[serve.tokens]] with name, sha256 and roles, or [serve.oidc], or `client_ca` in [serve]",
            ),
            Self::NoTlsForClients => Some(
                "give it a certificate with --tls-cert and --tls-key, or leave `client_ca` out",
            ),
            Self::NoHosts(_) => {
                Some("write in windlass.toml: [serve] hosts = [\"windlass.example.com\"]")
            }
            _ => None,
        }
    }
}
