use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use windlass_notify::Outbox;
use windlass_runs::Runs;
use windlass_targets::ServeConfig;
use windlass_triggers::Triggers;

/// The options of a server, and the services that it uses.
pub struct DeskOptions {
    pub listen: SocketAddr,
    /// The files with the certificate chain and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub config: ServeConfig,
    /// The database of sessions and saved views.
    pub state: PathBuf,
    /// The token of the person who started the server, on loopback.
    pub owner: Option<Secured>,
    pub runs: Arc<dyn Runs>,
    pub triggers: Arc<Triggers>,
    pub outbox: Arc<Outbox>,
}

/// A token and the name of its holder.
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
    #[error("refusing to listen on {0} without TLS: other machines can reach it")]
    Plain(SocketAddr),
    #[error("`client_ca` requires TLS: clients can send certificates only over TLS")]
    NoTlsForClients,
    #[error("can't use the provider of `[serve.oidc]`: {0}")]
    Provider(String),
    #[error("refusing to listen on {0}: no way to log in is configured")]
    NoTokens(SocketAddr),
    #[error(
        "refusing to listen on {0}: the names under which browsers reach the server are not configured"
    )]
    NoHosts(SocketAddr),
    #[error("can't use the certificate {path}: {why}")]
    Certificate { path: String, why: String },
    #[error("can't open the database of sessions")]
    Sessions(#[from] rusqlite::Error),
    #[error("the system could not provide random bytes")]
    NoRandomness,
}

impl Refused {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => {
                Some("give it a certificate with --tls-cert and --tls-key, or listen on 127.0.0.1")
            }
            Self::NoTokens(_) => Some(
                "configure who may log in, in windlass.toml: [[serve.tokens]] with name, sha256 and roles, or [serve.oidc], or `client_ca` in [serve]",
            ),
            Self::NoTlsForClients => Some(
                "give it a certificate with --tls-cert and --tls-key, or leave `client_ca` out",
            ),
            Self::NoHosts(_) => {
                Some("add to windlass.toml: [serve] hosts = [\"windlass.example.com\"]")
            }
            _ => None,
        }
    }
}
