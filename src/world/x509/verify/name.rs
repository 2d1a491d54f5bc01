use std::fmt;

use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

/// The name that the other side's certificate must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A host, which a wildcard in the certificate may match, or an IP address. Never the common name.
    Host(ServerName<'static>),
    /// A URI, such as a SPIFFE id. If it ends with a slash, all URIs below it match: every workload of a trust domain matches
    /// `spiffe://cluster.local/`, as in Istio's proxies.
    Uri(String),
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a host name, an IP address or a URI")]
pub struct BadName(String);

impl PeerName {
    /// Parses a name.
    ///
    /// # Errors
    /// A name that a certificate can't contain.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.contains("://") {
            return Ok(Self::Uri(text.to_owned()));
        }
        ServerName::try_from(text.to_owned())
            .map(Self::Host)
            .map_err(|_| BadName(text.to_owned()))
    }

    /// Says whether a certificate contains this name.
    pub fn fits(&self, certificate: &CertificateDer) -> bool {
        match self {
            Self::Host(host) => EndEntityCert::try_from(certificate)
                .and_then(|read| read.verify_is_valid_for_subject_name(host))
                .is_ok(),
            Self::Uri(wanted) => {
                let Ok((_, read)) = X509Certificate::from_der(certificate) else {
                    return false;
                };
                let fits = |uri: &str| {
                    if wanted.ends_with('/') {
                        uri.starts_with(wanted.as_str())
                    } else {
                        uri == wanted
                    }
                };
                let names = read.subject_alternative_name().ok().flatten();
                names.is_some_and(|names| {
                    let mut names = names.value.general_names.iter();
                    names.any(|name| matches!(name, GeneralName::URI(uri) if fits(uri)))
                })
            }
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(&host.to_str()),
            Self::Uri(uri) => f.write_str(uri),
        }
    }
}
