//! The options of a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Clock;
use crate::fault::Fault;
use windlass_ground::{CLIENT_TIMEOUT, NoRandomness, random_bytes};

/// The options of a server. Everything else is stored in `folder`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; port 0 selects a free port. An address that is not a loopback address requires
    /// `access_keys`.
    pub listen: SocketAddr,
    /// The folder for the state; it is created with mode 0700 if it does not exist.
    pub folder: PathBuf,
    /// The region of a request whose signature does not contain one.
    pub region: String,
    /// The account that owns what is created: 12 digits.
    pub account: String,
    /// How long AWS's asynchronous operations take.
    pub delays: Delays,
    /// When two requests with the same idempotency token count as the same request.
    pub idempotency: Idempotency,
    /// Whether AWS's quotas are enforced.
    pub quotas: Quotas,
    /// The faults to inject.
    pub faults: Vec<Fault>,
    /// The accepted credentials. If this is empty, signatures are not checked, and any credentials are accepted: an access
    /// key of 12 digits then stands for that account, so that sharing between accounts can be tried.
    pub access_keys: Vec<AccessKey>,
    /// The clock of the server.
    pub clock: Clock,
    /// How often CRLs are signed again and deleted authorities are purged, by the machine's clock.
    pub upkeep: Duration,
    /// How long a client may take for the head of a request, and again for its body.
    pub client_timeout: Duration,
    /// Whether a new database is only created by the first request, for a server that may get none. An existing one is opened at the
    /// start in any case, so that the start reports one that can't be used.
    pub creates_when_asked: bool,
}

/// Well within the shortest lifetime of a CRL, one day.
const HOURLY: Duration = Duration::from_secs(60 * 60);

impl Options {
    /// Returns options for a server that only this machine can reach and that has no delays: `127.0.0.1`, a free port,
    /// `us-east-1`, account `123456789012`.
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
            creates_when_asked: false,
        }
    }
}

/// How long AWS's asynchronous operations take; zero by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// From creation until the CSR can be read. Until then the status is CREATING, and `GetCertificateAuthorityCsr` fails
    /// with RequestInProgress.
    pub create: Duration,
    /// From issuing until the certificate can be read. Until then `GetCertificate` fails with RequestInProgress.
    pub issue: Duration,
    /// From an import until the authority can issue. Until then `IssueCertificate` fails with InvalidState.
    pub settle: Duration,
}

/// When a request counts as a repetition of an earlier one. AWS does not document it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// The token and all parameters are the same.
    #[default]
    TokenAndParameters,
    /// The token is the same; a different request with the same token gets the earlier response.
    TokenOnly,
}

/// Whether the quotas of the service are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotas {
    /// No quotas.
    #[default]
    Off,
    /// AWS's default rates for each operation, and numbers for each region.
    Aws,
}

/// A credential with which requests may be signed.
#[derive(Clone)]
pub struct AccessKey {
    /// The access key ID, as in the `Authorization` header.
    pub id: String,
    /// The secret access key; it is never shown.
    pub secret: String,
    /// The account of requests signed with this key; `None` for the server's own account.
    pub account: Option<String>,
}

impl AccessKey {
    /// Makes a random key with the format of AWS's.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn random() -> Result<Self, NoRandomness> {
        let (mut id, mut secret) = ([0; 10], [0; 30]);
        random_bytes(&mut id)?;
        random_bytes(&mut secret)?;
        Ok(Self {
            id: format!("AKIA{}", data_encoding::BASE32.encode(&id)),
            secret: data_encoding::BASE64URL_NOPAD.encode(&secret),
            account: None,
        })
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Why the text of an option is not valid.
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

/// Reads `ID:SECRET` or `ID:SECRET:ACCOUNT`. The error never repeats the text, which may be a secret.
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
