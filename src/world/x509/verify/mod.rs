//! Verifies chains: does a certificate lead to a root, for a purpose and a name, at a time?
//!
//! For servers and clients, `rustls-webpki` builds the path, as in rustls and ztunnel, and `rules` checks what webpki leaves to others: key
//! usage, and for the root its validity, its CA flag, path length and extended key usage. RFC 5280, Go and OpenSSL check these. For CAs, which
//! webpki does not verify on their own, `authority` builds the path. Neither of them checks revocation and
//! certificate policies.

mod authority;
mod name;
mod rules;
mod words;

pub use name::{BadName, PeerName};

use std::cell::RefCell;

use strum::{EnumString, VariantNames};
use time::OffsetDateTime;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::{Certificate, ReadError};

/// The purpose of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Purpose {
    Server,
    Client,
    /// Signing certificates: a CA below which a leaf verifies.
    Ca,
}

/// A question about one certificate.
#[derive(Debug)]
pub struct Verification {
    leaf: Link,
    /// Certificates that may be between it and a root, in any order.
    chain: Vec<Link>,
    roots: Vec<Link>,
    purpose: Purpose,
    name: Option<PeerName>,
    pub at: OffsetDateTime,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The reason why it does not verify.
    pub error: Option<String>,
    /// The subjects of the path that was found, from the certificate to its root.
    pub chain: Vec<String>,
}

/// A certificate that was given.
#[derive(Debug)]
struct Link {
    der: CertificateDer<'static>,
    read: Certificate,
}

/// A text that does not contain certificates.
#[derive(Debug, thiserror::Error)]
#[error("`{which}`: {source}")]
pub struct BadInput {
    which: &'static str,
    source: ReadError,
}

impl Purpose {
    /// The names of all purposes.
    pub const NAMES: &[&str] = Self::VARIANTS;
}

impl Verification {
    /// Reads the given texts, all PEM. Certificates after the first of `leaf` count as part of the chain, so that the whole `tls.crt` of a Secret
    /// can be given; `chain` may be empty.
    ///
    /// # Errors
    /// A text without certificates or with a damaged block: which text, which block, and its place.
    pub fn new(
        leaf: &str,
        chain: &str,
        roots: &str,
        purpose: Purpose,
        name: Option<PeerName>,
        at: OffsetDateTime,
    ) -> Result<Self, BadInput> {
        let mut given = links("leaf", leaf)?.into_iter();
        // `links` returns at least one.
        let Some(leaf) = given.next() else {
            return Err(BadInput::empty("leaf"));
        };
        let mut above: Vec<_> = given.collect();
        if !chain.trim().is_empty() {
            above.extend(links("chain", chain)?);
        }
        Ok(Self {
            leaf,
            chain: above,
            roots: links("roots", roots)?,
            purpose,
            name,
            at,
        })
    }

    /// Answers the question.
    pub fn verdict(&self) -> Verdict {
        let found = match self.purpose {
            Purpose::Ca => self.authority_path(),
            Purpose::Server | Purpose::Client => self.leaf_path(),
        };
        let found = found.and_then(|path| self.check_name().map(|()| path));
        match found {
            Ok(path) => Verdict {
                error: None,
                chain: path.iter().map(|l| l.read.subject.clone()).collect(),
            },
            Err(why) => Verdict {
                error: Some(why),
                chain: Vec::new(),
            },
        }
    }

    fn leaf_path(&self) -> Result<Vec<&Link>, String> {
        let usage = match self.purpose {
            Purpose::Client => KeyUsage::client_auth(),
            _ => KeyUsage::server_auth(),
        };
        let anchors = self.roots.iter();
        let anchors: Vec<_> = anchors
            .filter_map(|root| anchor_from_trusted_cert(&root.der).ok())
            .collect();
        let chain: Vec<_> = self.chain.iter().map(|link| link.der.clone()).collect();
        let at = self.at.unix_timestamp().max(0).unsigned_abs();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
        let refused = RefCell::new(None);
        let accepted = RefCell::new(Vec::new());
        let check = |path: &VerifiedPath| match self.check_path(path) {
            Ok(links) => {
                accepted.replace(links);
                Ok(())
            }
            Err(why) => {
                refused.replace(Some(why));
                Err(Error::UnknownIssuer)
            }
        };
        let verified = EndEntityCert::try_from(&self.leaf.der).and_then(|leaf| {
            let (algorithms, check) = (ALL_VERIFICATION_ALGS, Some(&check as _));
            leaf.verify_for_usage(algorithms, &anchors, &chain, at, usage, None, check)
                .map(|_| ())
        });
        match verified {
            Ok(()) => Ok(accepted.take()),
            Err(error) => Err(refused
                .take()
                .or_else(|| self.likely_trouble())
                .unwrap_or_else(|| self.words(&error))),
        }
    }

    /// Checks a path that webpki has verified against the other rules; if the path breaks one, webpki tries the
    /// next path.
    fn check_path(&self, path: &VerifiedPath) -> Result<Vec<&Link>, String> {
        let mut links = vec![&self.leaf];
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            links.extend(self.chain.iter().find(|link| link.der == der));
        }
        let anchor = path.anchor();
        let is_anchor = |root: &&Link| {
            anchor_from_trusted_cert(&root.der).is_ok_and(|own| {
                own.subject == anchor.subject
                    && own.subject_public_key_info == anchor.subject_public_key_info
            })
        };
        // There may be several certificates of one key, one of which is still valid.
        let mut why = None;
        for root in self.roots.iter().filter(is_anchor) {
            let whole = [&links[..], &[root]].concat();
            match rules::check(&whole, self.purpose, self.at) {
                Ok(()) => return Ok(whole),
                Err(broken) => why = why.or(Some(broken)),
            }
        }
        Err(why.unwrap_or_else(|| words::NO_CHAIN.into()))
    }

    fn check_name(&self) -> Result<(), String> {
        match &self.name {
            Some(name) if !name.fits(&self.leaf.der) => Err(format!(
                "`{}` is not for the name `{name}`",
                self.leaf.read.subject
            )),
            _ => Ok(()),
        }
    }
}

impl Link {
    fn parsed(&self) -> X509Certificate<'_> {
        let (_, parsed) = X509Certificate::from_der(&self.der).expect("it has been read before");
        parsed
    }
}

impl BadInput {
    fn empty(which: &'static str) -> Self {
        let source = super::pem::PemError::NotPem("it holds no certificate").into();
        Self { which, source }
    }
}

fn links(which: &'static str, text: &str) -> Result<Vec<Link>, BadInput> {
    let read = Certificate::read_all(text.as_bytes());
    let read = read.map_err(|source| BadInput { which, source })?;
    let link = |read: Certificate| Link {
        der: CertificateDer::from(read.der.clone()),
        read,
    };
    Ok(read.into_iter().map(link).collect())
}
