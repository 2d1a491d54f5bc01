//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Clock;
use crate::fault::Fault;
use windlass_ground::CLIENT_TIMEOUT;

/// How one server behaves. Everything that isn't said here is kept in `folder`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one. Off loopback, `access_keys` must not be empty.
    pub listen: SocketAddr,
    /// Where the state lives; made with mode 0700 if it isn't there.
    pub folder: PathBuf,
    /// The region of a request that doesn't name one in its signature.
    pub region: String,
    /// The account that owns what is created: 12 digits.
    pub account: String,
    /// How long AWS's asynchronous steps take here.
    pub delays: Delays,
    /// What makes two requests with one idempotency token the same.
    pub idempotency: Idempotency,
    /// Whether AWS's rates and counts are enforced.
    pub quotas: Quotas,
    /// Errors to give on purpose.
    pub faults: Vec<Fault>,
    /// The credentials that are accepted; any are, and none are checked, when this is empty. An unchecked access key
    /// of 12 digits stands for that account, so that sharing between accounts can be tried.
    pub access_keys: Vec<AccessKey>,
    /// The time as the server sees it.
    pub clock: Clock,
    /// How often lists are signed anew and what is deleted is forgotten, by the machine's clock.
    pub upkeep: Duration,
    /// How long a client may take for the head of a request, and again for its body.
    pub client_timeout: Duration,
}

/// Well within the shortest life of a list, one day.
const HOURLY: Duration = Duration::from_secs(60 * 60);

impl Options {
    /// A server for this machine only, that answers at once: `127.0.0.1`, a free port, `us-east-1`, account `123456789012`.
    pub fn local(folder: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder,
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            delays: Delays::default(),
            idempotency: Idempotency::default(),
            quotas: Quotas::default(),
            faults: Vec::new(),
            access_keys: Vec::new(),
            clock: Clock::system(),
            upkeep: HOURLY,
            client_timeout: CLIENT_TIMEOUT,
        }
    }
}

/// How long things take that AWS does behind its answer; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// From creation until the CSR can be read: the authority is CREATING, `GetCertificateAuthorityCsr` in progress.
    pub create: Duration,
    /// From issuing until the certificate can be read: `GetCertificate` is in progress.
    pub issue: Duration,
    /// From an import until the authority issues: `IssueCertificate` says InvalidState.
    pub settle: Duration,
}

/// What makes a request the repetition of an earlier one. AWS's page leaves it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// The token together with all parameters.
    #[default]
    TokenAndParameters,
    /// The token alone: another request under the same token gets the earlier answer.
    TokenOnly,
}

/// Whether the service's quotas hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotas {
    /// Nothing is limited.
    #[default]
    Off,
    /// AWS's default rates per operation and counts per region.
    Aws,
}

/// A credential that requests may be signed with.
#[derive(Clone)]
pub struct AccessKey {
    /// The public half, as it stands in the `Authorization` header.
    pub id: String,
    /// The secret half; it is never shown.
    pub secret: String,
    /// The account of requests signed with it; the server's own account if `None`.
    pub account: Option<String>,
}

impl AccessKey {
    /// Makes a random one, of the shape that AWS gives.
    ///
    /// # Errors
    /// A system that gives no randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        let (mut id, mut secret) = ([0; 10], [0; 30]);
        aws_lc_rs::rand::fill(&mut id).map_err(|_| NoRandomness)?;
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| NoRandomness)?;
        Ok(Self {
            id: format!("AKIA{}", data_encoding::BASE32.encode(&id)),
            secret: data_encoding::BASE64URL_NOPAD.encode(&secret),
            account: None,
        })
    }
}

/// The system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the system could not provide random bytes")]
pub struct NoRandomness;

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Why an option's text can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text} is not one of {expected}")]
pub struct OptionError {
    text: String,
    expected: &'static str,
}

fn unknown(text: &str, expected: &'static str) -> OptionError {
    OptionError {
        text: text.to_owned(),
        expected,
    }
}

impl FromStr for Idempotency {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "parameters" => Ok(Self::TokenAndParameters),
            "token-only" => Ok(Self::TokenOnly),
            _ => Err(unknown(text, "parameters, token-only")),
        }
    }
}

impl FromStr for Quotas {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "off" => Ok(Self::Off),
            "aws" => Ok(Self::Aws),
            _ => Err(unknown(text, "off, aws")),
        }
    }
}

/// `ID:SECRET` or `ID:SECRET:ACCOUNT`. The error never repeats the text, which may be a secret.
impl FromStr for AccessKey {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let mut parts = text.split(':');
        let key = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(secret), account, None) if !id.is_empty() && !secret.is_empty() => {
                Some(Self {
                    id: id.to_owned(),
                    secret: secret.to_owned(),
                    account: account.map(str::to_owned),
                })
            }
            _ => None,
        };
        let is_account = |account: &String| {
            account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
        };
        key.filter(|key| key.account.as_ref().is_none_or(is_account))
            .ok_or_else(|| unknown("the access key", "ID:SECRET, ID:SECRET:ACCOUNT"))
    }
}
