use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{notify::Outbox, runs::Runs, targets::ServeConfig, triggers::Triggers};

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
    #[error("refuses to listen on {0}: no token is configured")]
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
            Self::NoTokens(_) => {
                Some("write tokens in windlass.toml: [[serve.tokens]] with name, sha256 and roles")
            }
            Self::NoHosts(_) => {
                Some("write in windlass.toml: [serve] hosts = [\"windlass.example.com\"]")
            }
            _ => None,
        }
    }
}
