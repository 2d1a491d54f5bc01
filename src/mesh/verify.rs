//! Verifies chains as the TLS libraries of the players do.
//!
//! All paths are built with webpki here. Go and BoringSSL check more of a trust anchor than webpki: its validity and its
//! path length. rustls accepts an anchor as it is.

use std::time::Duration;

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use super::x509::{self, Certificate};
use windlass_cluster::{Moment, timestamp};

/// The TLS library of a player, which decides what is checked, and the text of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Library {
    /// istiod, istio-agent, the API server, Gloo Mesh.
    Go,
    /// Sidecars and gateways.
    Envoy,
    /// ztunnel.
    Rustls,
}

/// The purpose for which a certificate is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// The name that a certificate must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Expected {
    /// A DNS name, by the rules of TLS.
    Host(String),
    /// A SPIFFE id of this trust domain.
    TrustDomain(String),
    /// Exactly this SPIFFE id.
    Identity(String),
    /// Exactly this DNS name: the name of a registered cluster.
    Cluster(String),
}

/// The anchors that a player has loaded.
pub(super) struct Trust {
    anchors: Vec<(TrustAnchor<'static>, Certificate)>,
    library: Library,
}

impl Trust {
    /// Reads a bundle. Certificates that can't be an anchor are skipped, as in all three libraries.
    pub fn new(bundle: &str, library: Library) -> Self {
        let all = x509::certificates(bundle).unwrap_or_default();
        let anchor = |der: &CertificateDer| {
            let anchor = webpki::anchor_from_trusted_cert(der).ok()?.to_owned();
            Some((anchor, x509::parse(der).ok()?))
        };
        Self {
            anchors: all.iter().filter_map(anchor).collect(),
            library,
        }
    }

    /// Verifies a chain, leaf first, at a given time.
    ///
    /// # Errors
    /// The reason, in the text of the library.
    pub fn verify(
        &self,
        chain: &[CertificateDer],
        purpose: Purpose,
        expected: &Expected,
        at: Moment,
    ) -> Result<(), String> {
        let words = |error: &Error, leaf: &CertificateDer| self.words(error, leaf, at);
        let (leaf, intermediates) = chain.split_first().ok_or("no certificate was shown")?;
        let end = EndEntityCert::try_from(leaf).map_err(|error| words(&error, leaf))?;
        let anchors: Vec<_> = self
            .anchors
            .iter()
            .map(|(anchor, _)| anchor.clone())
            .collect();
        let usage = match purpose {
            Purpose::Server => KeyUsage::server_auth(),
            Purpose::Client => KeyUsage::client_auth(),
        };
        let millis = u64::try_from(at).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_millis(millis));
        let check = |path: &VerifiedPath| self.check_anchor(path, &anchors, at);
        end.verify_for_usage(
            aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .all,
            &anchors,
            intermediates,
            now,
            usage,
            None,
            Some(&check),
        )
        .map_err(|error| words(&error, leaf))?;
        self.check_name(&end, leaf, expected)
    }

    /// Makes the checks of Go and BoringSSL on an anchor.
    fn check_anchor(
        &self,
        path: &VerifiedPath,
        anchors: &[TrustAnchor],
        at: Moment,
    ) -> Result<(), Error> {
        if self.library == Library::Rustls {
            return Ok(());
        }
        let found = anchors
            .iter()
            .position(|anchor| std::ptr::eq(anchor, path.anchor()));
        let Some((_, anchor)) = found.and_then(|found| self.anchors.get(found)) else {
            return Ok(());
        };
        let unix = |at: Moment| {
            UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at).unwrap_or_default()))
        };
        // As in webpki, the last second still counts as valid.
        if at >= x509::not_after(anchor) + 1000 {
            return Err(Error::CertExpired {
                time: unix(at),
                not_after: unix(x509::not_after(anchor)),
            });
        }
        if at < x509::not_before(anchor) {
            return Err(Error::CertNotValidYet {
                time: unix(at),
                not_before: unix(x509::not_before(anchor)),
            });
        }
        let most = x509::basic_constraints(anchor).and_then(|it| it.path_len_constraint);
        if most.is_some_and(|most| path.intermediate_certificates().count() > most.into()) {
            return Err(Error::PathLenConstraintViolated);
        }
        Ok(())
    }

    fn check_name(
        &self,
        end: &EndEntityCert,
        leaf: &CertificateDer,
        expected: &Expected,
    ) -> Result<(), String> {
        let has = x509::parse(leaf).map_or_else(|_| Vec::new(), |leaf| x509::names(&leaf));
        match expected {
            Expected::Host(host) => {
                let fits = match self.library {
                    // webpki does not accept `*.gloo-mesh`: a wildcard needs two labels after it.
                    Library::Rustls => ServerName::try_from(host.as_str())
                        .is_ok_and(|name| end.verify_is_valid_for_subject_name(&name).is_ok()),
                    Library::Go | Library::Envoy => has.iter().any(|name| is_host(name, host)),
                };
                if fits {
                    return Ok(());
                }
                let dns: Vec<_> = has.iter().filter(|name| !name.contains("://")).collect();
                Err(match (self.library, dns.is_empty()) {
                    (Library::Rustls, _) => {
                        format!(
                            "invalid peer certificate: certificate not valid for name \"{host}\""
                        )
                    }
                    (_, true) => format!(
                        "x509: certificate is not valid for any names, but wanted to match {host}"
                    ),
                    (_, false) => {
                        format!("x509: certificate is valid for {}, not {host}", join(&dns))
                    }
                })
            }
            Expected::TrustDomain(domain) => {
                let prefix = format!("spiffe://{domain}/");
                if has.iter().any(|name| name.starts_with(&prefix)) {
                    Ok(())
                } else {
                    Err(format!(
                        "CERTIFICATE_VERIFY_FAILED: verify cert failed: verify SAN list: none of [{}] begins with {prefix}",
                        join(&has.iter().collect::<Vec<_>>())
                    ))
                }
            }
            Expected::Identity(identity) => {
                if has.contains(identity) {
                    Ok(())
                } else {
                    Err(format!(
                        "identity verification error: peer did not present the expected SAN ([{identity}]), got [{}]",
                        join(&has.iter().collect::<Vec<_>>())
                    ))
                }
            }
            Expected::Cluster(cluster) => {
                if has.contains(cluster) {
                    Ok(())
                } else {
                    Err(format!(
                        "the agent's certificate has no DNS name {cluster}, the name of its cluster: [{}]",
                        join(&has.iter().collect::<Vec<_>>())
                    ))
                }
            }
        }
    }

    /// Returns an error in the text of the library.
    fn words(&self, error: &Error, leaf: &CertificateDer, at: Moment) -> String {
        let issuer = x509::parse(leaf).map(|leaf| x509::short_name(&leaf.tbs_certificate.issuer));
        let issuer = issuer.unwrap_or_default();
        match self.library {
            Library::Rustls => format!("invalid peer certificate: {}", rustls_word(error)),
            Library::Go => match error {
                Error::UnknownIssuer
                | Error::InvalidSignatureForPublicKey
                | Error::SignatureAlgorithmMismatch => {
                    format!("x509: certificate signed by unknown authority (issuer {issuer:?})")
                }
                Error::CertExpired { not_after, .. } => format!(
                    "x509: certificate has expired or is not yet valid: current time {} is after {}",
                    timestamp(at),
                    timestamp(millis(*not_after))
                ),
                Error::CertNotValidYet { not_before, .. } => format!(
                    "x509: certificate has expired or is not yet valid: current time {} is before {}",
                    timestamp(at),
                    timestamp(millis(*not_before))
                ),
                Error::PathLenConstraintViolated => {
                    "x509: too many intermediates for path length constraint".into()
                }
                Error::RequiredEkuNotFoundContext(_) => {
                    "x509: certificate specifies an incompatible key usage".into()
                }
                Error::EndEntityUsedAsCa => {
                    "x509: invalid signature: parent certificate cannot sign this kind of certificate"
                        .into()
                }
                other => format!("x509: {other:?}"),
            },
            Library::Envoy => {
                let why = match error {
                    // BoringSSL does not try a candidate with another key: the leaf names its issuer's key.
                    Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => {
                        format!("unable to get local issuer certificate (issuer {issuer:?})")
                    }
                    Error::CertExpired { .. } => "certificate has expired".into(),
                    Error::CertNotValidYet { .. } => "certificate is not yet valid".into(),
                    Error::PathLenConstraintViolated => "path length constraint exceeded".into(),
                    Error::RequiredEkuNotFoundContext(_) => {
                        "unsuitable certificate purpose".into()
                    }
                    Error::EndEntityUsedAsCa => "invalid CA certificate".into(),
                    other => format!("{other:?}"),
                };
                format!(
                    "CERTIFICATE_VERIFY_FAILED: verify cert failed: X509_verify_cert: certificate verification error: {why}"
                )
            }
        }
    }
}

/// Returns whether a DNS name of a certificate matches a host by Go's rules: a wildcard stands for the first label.
fn is_host(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    match (name.strip_prefix("*."), host.split_once('.')) {
        (Some(rest), Some((_, of_host))) => rest.eq_ignore_ascii_case(of_host),
        _ => false,
    }
}

/// Returns the name of rustls's error for an error of webpki.
fn rustls_word(error: &Error) -> String {
    match error {
        Error::CertExpired { .. } => "Expired".into(),
        Error::CertNotValidYet { .. } => "NotValidYet".into(),
        Error::InvalidSignatureForPublicKey => "BadSignature".into(),
        Error::RequiredEkuNotFoundContext(_) => "InvalidPurpose".into(),
        Error::UnknownIssuer => "UnknownIssuer".into(),
        other => format!("Other({other:?})"),
    }
}

fn join(names: &[&String]) -> String {
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

fn millis(at: UnixTime) -> Moment {
    Moment::try_from(at.as_secs()).unwrap_or_default() * 1000
}

/// Verifies the certificate of a CA like istiod when it loads one. The CA counts as the end of its chain, so a path length
/// that its leaves will violate is not noticed (istio: `security/pkg/pki/util/keycertbundle.go`).
///
/// # Errors
/// The reason, in the text of Go.
pub(super) fn verify_signer(
    signer: &str,
    chain: &str,
    roots: &str,
    at: Moment,
) -> Result<(), String> {
    let first = |pem: &str| x509::certificates(pem).map(|all| all.into_iter().next());
    let signer = first(signer)?.ok_or("failed to parse signer PEM")?;
    let roots = x509::certificates(roots)?;
    let chain = x509::certificates(chain)?;
    let mut reason = "x509: certificate signed by unknown authority".to_owned();
    if climb(&signer, 0, &chain, &roots, at, &mut reason) {
        Ok(())
    } else {
        Err(reason)
    }
}

/// Returns whether a path of valid certificates leads from a certificate to a root. `below` is the number of intermediates below it.
fn climb(
    der: &CertificateDer,
    below: u8,
    chain: &[CertificateDer],
    roots: &[CertificateDer],
    at: Moment,
    reason: &mut String,
) -> bool {
    let Ok(certificate) = x509::parse(der) else {
        return false;
    };
    let end = x509::not_after(&certificate);
    if at >= end + 1000 || at < x509::not_before(&certificate) {
        *reason = format!(
            "x509: certificate has expired or is not yet valid: current time {} is after {}",
            timestamp(at),
            timestamp(end)
        );
        return false;
    }
    if !x509::may_serve(&certificate) {
        *reason = "x509: certificate specifies an incompatible key usage".into();
        return false;
    }
    if roots.contains(der) {
        return true;
    }
    if below > 8 {
        return false;
    }
    let issuers = roots.iter().chain(chain).filter(|issuer| *issuer != der);
    for issuer in issuers {
        let Ok(parent) = x509::parse(issuer) else {
            continue;
        };
        if parent.tbs_certificate.subject != certificate.tbs_certificate.issuer
            || !x509::has_signed(&parent, der)
        {
            continue;
        }
        let limits = x509::basic_constraints(&parent);
        let is_root = roots.contains(issuer);
        if !is_root && !limits.as_ref().is_some_and(|limits| limits.ca) {
            continue;
        }
        if limits
            .and_then(|limits| limits.path_len_constraint)
            .is_some_and(|most| below > most)
        {
            *reason = "x509: too many intermediates for path length constraint".into();
            continue;
        }
        if climb(issuer, below + 1, chain, roots, at, reason) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        for (name, host, fits) in [
            ("a.gloo-mesh", "A.gloo-mesh", true),
            ("*.gloo-mesh", "gloo-mesh-mgmt-server.gloo-mesh", true),
            ("*.gloo-mesh", "a.b.gloo-mesh", false),
            ("*.gloo-mesh", "gloo-mesh", false),
            ("spiffe://a", "a", false),
        ] {
            assert_eq!(is_host(name, host), fits, "{name} {host}");
        }
    }
}
