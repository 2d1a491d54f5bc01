//! The errors of requests to Restate.

use windlass_journal::JournalError;

/// The reason why a request to Restate failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("can't reach Restate at {url}")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("no worker is registered at Restate")]
    NoWorker,
    #[error("{0} is not the admin API of a Restate server")]
    NoAdmin(String),
    #[error("{0} is the ingress of a Restate server, not its admin API")]
    IngressForAdmin(String),
    #[error("{0} answers, but not as the ingress of a Restate server does")]
    Stranger(String),
    #[error("{url} is the admin API of a Restate server, not its ingress")]
    AdminForIngress {
        url: String,
        /// The address of its ingress, as the server gives it.
        ingress: Option<String>,
    },
    #[error("Restate can't use the worker at {worker}: {why}")]
    Unusable {
        worker: String,
        why: String,
        hint: Option<&'static str>,
    },
    #[error("no worker does what it is asked: {0}")]
    NoAnswer(String),
    #[error("Restate refused the request ({status}): {body}")]
    Refused { status: u16, body: String },
    #[error("the address or the certificates of Restate can't be used: {0}")]
    Address(String),
    #[error(
        "the workers have the identity of {theirs}, and this machine that of {own}: they could not read the secrets of the run"
    )]
    OtherIdentity { own: String, theirs: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl RemoteError {
    /// Says whether the problem may be temporary: a server that is starting, a node that takes over.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer(_) => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { source, .. } if source.is_builder() => {
                "an address begins with http:// or https://, as in http://127.0.0.1:8080".into()
            }
            Self::Unreachable { .. } => {
                "is the server running there? WINDLASS_RESTATE or `substrate` of the target says where".into()
            }
            Self::NoWorker => "start one: `windlass worker --register ADMIN-URL`".into(),
            Self::Stranger(_) => {
                "WINDLASS_RESTATE or `substrate` of the target says where the server is; the port of its ingress is 8080 by default".into()
            }
            Self::NoAdmin(_) => "its port is 9070 by default, that of the ingress 8080".into(),
            Self::IngressForAdmin(_) => {
                "the port of the admin API is 9070 by default; --register, WINDLASS_RESTATE_ADMIN and `admin` in the `substrate` of a target name it".into()
            }
            Self::AdminForIngress { ingress, .. } => {
                let at = ingress.as_ref().map_or_else(
                    || "its port is 8080 by default".to_owned(),
                    |ingress| format!("the server gives its address as {ingress}"),
                );
                format!("WINDLASS_RESTATE and `substrate` of a target name the ingress: {at}")
            }
            Self::Unusable { hint, .. } => return hint.map(str::to_owned),
            Self::NoAnswer(_) => {
                "are the workers running, at the address that they are registered with?".into()
            }
            Self::OtherIdentity { .. } => {
                "copy identity.txt from the state folder of a worker to that of this machine".into()
            }
            Self::Journal(e) => return e.hint(),
            Self::Refused { .. } | Self::Address(_) => return None,
        })
    }
}
