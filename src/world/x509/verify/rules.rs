//! The rules for a path besides its signatures (RFC 5280, 6.1.4), with plain messages.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{extensions::ParsedExtension, prelude::X509Certificate};

use super::{Link, Purpose};

/// Checks a path, whose root is last.
///
/// # Errors
/// The first certificate that breaks a rule, and the rule.
pub(super) fn check(path: &[&Link], purpose: Purpose, at: OffsetDateTime) -> Result<(), String> {
    let parsed: Vec<_> = path.iter().map(|link| link.parsed()).collect();
    for (index, link) in path.iter().enumerate() {
        check_validity(link, at)?;
        if let Some(issuer) = path.get(index + 1) {
            check_key_ids(link, issuer)?;
        }
        let certificate = &parsed[index];
        check_extensions(link, certificate)?;
        if index == 0 && purpose != Purpose::Ca {
            check_leaf(link, certificate, purpose)?;
            continue;
        }
        // A leaf is below every CA of the path, and does not count.
        let first = usize::from(purpose != Purpose::Ca);
        let below = parsed[first..index].iter();
        let below = below.filter(|c| c.subject() != c.issuer()).count();
        check_authority(link, certificate, below, purpose)?;
    }
    Ok(())
}

fn check_validity(link: &Link, at: OffsetDateTime) -> Result<(), String> {
    let (subject, read) = (&link.read.subject, &link.read);
    let shown = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    if at < read.not_before {
        return Err(format!(
            "`{subject}` is not valid before {}",
            shown(read.not_before)
        ));
    }
    if at > read.not_after {
        Err(format!("`{subject}` expired on {}", shown(read.not_after)))
    } else {
        Ok(())
    }
}

/// OpenSSL and BoringSSL find no issuer whose key has another id than the certificate says; the signature alone does not count.
fn check_key_ids(link: &Link, issuer: &Link) -> Result<(), String> {
    let (named, own) = (&link.read.authority_key_id, &issuer.read.subject_key_id);
    match (named, own) {
        (Some(named), Some(own)) if named != own => Err(format!(
            "`{}` names the key {named} as its issuer's, and `{}` has the key id {own}: OpenSSL and Envoy refuse that",
            link.read.subject, issuer.read.subject
        )),
        _ => Ok(()),
    }
}

fn check_extensions(link: &Link, certificate: &X509Certificate) -> Result<(), String> {
    let unknown = certificate.extensions().iter().find(|extension| {
        let parsed = extension.parsed_extension();
        extension.critical && matches!(parsed, ParsedExtension::UnsupportedExtension { .. })
    });
    match unknown {
        Some(extension) => Err(format!(
            "`{}` has a critical extension that is not known here ({})",
            link.read.subject, extension.oid
        )),
        None => Ok(()),
    }
}

fn check_leaf(link: &Link, certificate: &X509Certificate, purpose: Purpose) -> Result<(), String> {
    let subject = &link.read.subject;
    if link.read.is_ca {
        return Err(format!(
            "`{subject}` is a CA, which is no certificate of a server or a client (`purpose: \"ca\"` verifies CAs)"
        ));
    }
    check_extended_usage(link, certificate, purpose)?;
    let usage = key_usage(link, certificate)?;
    // The rule of OpenSSL's purposes `sslserver` and `sslclient`: a client always signs.
    let is_for_tls = usage.is_none_or(|usage| {
        usage.digital_signature()
            || usage.key_agreement()
            || (purpose == Purpose::Server && usage.key_encipherment())
    });
    if is_for_tls {
        Ok(())
    } else {
        Err(format!(
            "the key usage of `{subject}` is not that of a TLS certificate"
        ))
    }
}

fn check_authority(
    link: &Link,
    certificate: &X509Certificate,
    below: usize,
    purpose: Purpose,
) -> Result<(), String> {
    let subject = &link.read.subject;
    if !link.read.is_ca {
        return Err(format!("`{subject}` is not a CA"));
    }
    let basic = certificate.basic_constraints().ok().flatten();
    let most = basic.and_then(|basic| basic.value.path_len_constraint);
    if let Some(most) = most.filter(|most| below > *most as usize) {
        return Err(format!(
            "`{subject}` has path length {most}, and {below} CAs are below it"
        ));
    }
    if key_usage(link, certificate)?.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(format!(
            "the key usage of `{subject}` lacks the signing of certificates"
        ));
    }
    match purpose {
        Purpose::Ca => Ok(()),
        _ => check_extended_usage(link, certificate, purpose),
    }
}

fn key_usage<'a>(
    link: &Link,
    certificate: &'a X509Certificate,
) -> Result<Option<&'a x509_parser::extensions::KeyUsage>, String> {
    match certificate.key_usage() {
        Ok(usage) => Ok(usage.map(|usage| usage.value)),
        Err(_) => Err(format!("`{}` has two key usages", link.read.subject)),
    }
}

fn check_extended_usage(
    link: &Link,
    certificate: &X509Certificate,
    purpose: Purpose,
) -> Result<(), String> {
    let subject = &link.read.subject;
    let usage = certificate
        .extended_key_usage()
        .map_err(|_| format!("`{subject}` has two extended key usages"))?;
    // Neither webpki nor OpenSSL accepts anyExtendedKeyUsage for TLS.
    let (is_for, whom) = match purpose {
        Purpose::Server => (usage.is_none_or(|u| u.value.server_auth), "servers"),
        Purpose::Client => (usage.is_none_or(|u| u.value.client_auth), "clients"),
        Purpose::Ca => return Ok(()),
    };
    if is_for {
        Ok(())
    } else {
        Err(format!(
            "the extended key usage of `{subject}` is not for {whom}"
        ))
    }
}
