//! Checks whether certificates form a chain, for the import of an authority's certificate.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};

use crate::clock::Moment;
use crate::x509::constraint::{self, ConstraintError};
use crate::x509::{certificate, oid, verify};

/// The largest number of authorities from the root to the lowest one: AWS allows five.
const DEEPEST: usize = 5;

/// The critical extensions that AWS accepts in an imported certificate or chain (`ImportCertificateAuthorityCertificate`).
const MAY_BE_CRITICAL: [&str; 13] = [
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::BASIC_CONSTRAINTS,
    oid::CERTIFICATE_POLICIES,
    oid::EXTENDED_KEY_USAGE,
    "2.5.29.54", // inhibit anyPolicy
    "2.5.29.18", // issuer alternative name
    oid::KEY_USAGE,
    oid::NAME_CONSTRAINTS,
    "2.5.29.33", // policy mappings
    oid::SUBJECT_ALTERNATIVE_NAME,
    "2.5.29.9", // subject directory attributes
    oid::SUBJECT_KEY_IDENTIFIER,
    oid::SUBJECT_INFORMATION_ACCESS,
];

/// Extensions that this check depends on: one that can't be read must not be treated as absent.
const DECISIVE: [&str; 3] = [
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::KEY_USAGE,
    oid::SUBJECT_KEY_IDENTIFIER,
];

/// What is wrong with a certificate or its chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("a certificate in the request cannot be read")]
    Unreadable,
    #[error(
        "the certificate is not a CA certificate (basic constraints must be critical, with CA:TRUE)"
    )]
    NotAnAuthority,
    #[error("the key usage of an authority's certificate must allow signing certificates")]
    KeyUsage,
    #[error("the critical extension {0} is not supported")]
    Critical(String),
    #[error("a certificate in the request is not valid at this time")]
    Expired,
    #[error("the certificate of a root authority must be self-signed")]
    NotSelfSigned,
    #[error("the certificate of a subordinate authority must not be self-signed")]
    SelfSigned,
    #[error("the certificate chain is incomplete or out of order")]
    Broken,
    #[error("the certificate chain must not contain the certificate that is imported")]
    HoldsItself,
    #[error("a path length in the certificate chain does not allow this certificate")]
    PathLength,
    #[error("the certificate is valid for longer than the certificate that signed it")]
    Outlives,
    #[error("a hierarchy can have at most five levels of authorities")]
    TooDeep,
    #[error(transparent)]
    Constraints(#[from] ConstraintError),
}

/// Returns whether the first certificate was issued by the holder of the second.
pub(crate) fn issued_by(child: &X509Certificate<'_>, parent: &X509Certificate<'_>) -> bool {
    child.issuer().as_raw() == parent.subject().as_raw()
        && verify::signed_by(
            parent.public_key(),
            &child.signature_algorithm,
            child.tbs_certificate.as_ref(),
            &child.signature_value.data,
        )
}

/// Checks the certificate of a root.
pub(crate) fn check_root(bytes: &[u8], now: Moment) -> Result<(), ChainError> {
    let root = certificate::parse(bytes).ok_or(ChainError::Unreadable)?;
    check_authority(&root, now)?;
    if !issued_by(&root, &root) {
        return Err(ChainError::NotSelfSigned);
    }
    Ok(constraint::check_chain(&[root])?)
}

/// Checks a subordinate's certificate and its chain: the chain begins with the issuer, ends with a root, and is complete.
pub(crate) fn check_subordinate(
    bytes: &[u8],
    chain: &[Vec<u8>],
    now: Moment,
) -> Result<(), ChainError> {
    let all = std::iter::once(bytes)
        .chain(chain.iter().map(Vec::as_slice))
        .map(|bytes| certificate::parse(bytes).ok_or(ChainError::Unreadable))
        .collect::<Result<Vec<_>, _>>()?;
    if issued_by(&all[0], &all[0]) {
        return Err(ChainError::SelfSigned);
    }
    if chain.iter().any(|other| other == bytes) {
        return Err(ChainError::HoldsItself);
    }
    if all.len() > DEEPEST {
        return Err(ChainError::TooDeep);
    }
    for certificate in &all {
        check_authority(certificate, now)?;
    }
    for (below, pair) in all.windows(2).enumerate() {
        check_link(&pair[0], &pair[1], below)?;
    }
    match all.last() {
        Some(root) if all.len() > 1 && issued_by(root, root) => Ok(constraint::check_chain(&all)?),
        _ => Err(ChainError::Broken),
    }
}

/// Checks one link of a chain. `below` is the number of authorities under `child`, which count for the path length of
/// `parent` like `child` itself.
fn check_link(
    child: &X509Certificate<'_>,
    parent: &X509Certificate<'_>,
    below: usize,
) -> Result<(), ChainError> {
    // Only the last certificate of a chain, the root, is self-signed.
    let goes_on = !issued_by(child, child);
    if !goes_on || !issued_by(child, parent) || !names_key_of(child, parent) {
        return Err(ChainError::Broken);
    }
    let allowed = path_length(parent);
    if allowed.is_some_and(|allowed| (allowed as usize) < below + 1) {
        return Err(ChainError::PathLength);
    }
    if let (Some(allowed), Some(own)) = (allowed, path_length(child))
        && own >= allowed
    {
        return Err(ChainError::PathLength);
    }
    if child.validity().not_after.timestamp() > parent.validity().not_after.timestamp() {
        return Err(ChainError::Outlives);
    }
    Ok(())
}

/// Returns whether the child's authority key identifier, if it has one, identifies this parent. With another identifier,
/// readers reject the chain before they check any signature.
fn names_key_of(child: &X509Certificate<'_>, parent: &X509Certificate<'_>) -> bool {
    let parsed = |extension: &X509Extension<'_>| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => {
            let key = found.key_identifier.as_ref().map(|key| key.0.to_vec());
            Some((key, found.authority_cert_serial.map(<[u8]>::to_vec)))
        }
        _ => None,
    };
    let Some((key, serial)) = child.extensions().iter().find_map(parsed) else {
        return true;
    };
    let own = certificate::written_key_identifier(parent);
    key.is_none_or(|key| own.is_none_or(|own| key == own))
        && serial.is_none_or(|serial| serial == parent.raw_serial())
}

fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    let constraints = certificate.basic_constraints().ok()??;
    constraints.value.path_len_constraint
}

fn check_authority(certificate: &X509Certificate<'_>, now: Moment) -> Result<(), ChainError> {
    // A certificate contains the algorithm twice, once in the signed part (RFC 5280, 4.1.1.2).
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return Err(ChainError::Unreadable);
    }
    // Readers could interpret a duplicate extension in different ways.
    certificate
        .extensions_map()
        .map_err(|_| ChainError::Unreadable)?;
    let constraints = certificate
        .basic_constraints()
        .map_err(|_| ChainError::Unreadable)?
        .ok_or(ChainError::NotAnAuthority)?;
    if !constraints.critical || !constraints.value.ca {
        return Err(ChainError::NotAnAuthority);
    }
    for extension in certificate.extensions() {
        let id = extension.oid.to_id_string();
        if extension.critical && !MAY_BE_CRITICAL.contains(&id.as_str()) {
            return Err(ChainError::Critical(id));
        }
        let unread = matches!(
            extension.parsed_extension(),
            ParsedExtension::ParseError { .. }
        );
        if unread && DECISIVE.contains(&id.as_str()) {
            return Err(ChainError::Unreadable);
        }
        if let ParsedExtension::KeyUsage(usage) = extension.parsed_extension()
            && !usage.key_cert_sign()
        {
            return Err(ChainError::KeyUsage);
        }
    }
    let validity = certificate.validity();
    let second = now.div_euclid(1000);
    if second < validity.not_before.timestamp() || second > validity.not_after.timestamp() {
        return Err(ChainError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::certificate::{Blueprint, Serial};
    use crate::x509::extension::{self, Extension, KeyUsage};
    use crate::x509::key::{KeyAlgorithm, SigningAlgorithm, SigningKey};
    use crate::x509::name::Subject;

    const NOW: Moment = 1_800_000_000_000;

    fn root(change: impl FnOnce(&mut Vec<Extension>)) -> Vec<u8> {
        let (key, _) = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        let subject = Subject {
            common_name: Some("root".to_owned()),
            ..Subject::default()
        };
        let name = subject.to_der().unwrap();
        let mut extensions = vec![
            extension::authority_constraints(None),
            KeyUsage::AUTHORITY.extension(),
        ];
        change(&mut extensions);
        let blueprint = Blueprint {
            serial: Serial::draw(0).unwrap(),
            issuer: &name,
            subject: &name,
            public_key: &key.public_key_info().unwrap(),
            not_before: NOW - 1000,
            not_after: NOW + 1000,
            extensions: &extensions,
        };
        blueprint.sign(&key, SigningAlgorithm::EcdsaSha256).unwrap()
    }

    #[test]
    fn a_duplicate_extension_is_an_error() {
        assert_eq!(check_root(&root(|_| ()), NOW), Ok(()));
        let twice = root(|all| all.push(KeyUsage::SIGNER.extension()));
        assert_eq!(check_root(&twice, NOW), Err(ChainError::Unreadable));
    }

    #[test]
    fn an_unreadable_extension_is_not_treated_as_absent() {
        let garbage = |id: &str| Extension::new(id, false, vec![4, 1, 1]);
        let unread = root(|all| all[1] = garbage(oid::KEY_USAGE));
        assert_eq!(check_root(&unread, NOW), Err(ChainError::Unreadable));
        let unread = root(|all| all.push(garbage(oid::AUTHORITY_KEY_IDENTIFIER)));
        assert_eq!(check_root(&unread, NOW), Err(ChainError::Unreadable));
        assert_eq!(
            check_root(&root(|all| all.push(garbage("1.2.3.4"))), NOW),
            Ok(())
        );
    }

    #[test]
    fn a_certificate_is_valid_until_the_end_of_its_last_second() {
        let root = root(|_| ());
        assert_eq!(check_root(&root, NOW + 1999), Ok(()));
        assert_eq!(check_root(&root, NOW + 2000), Err(ChainError::Expired));
        assert_eq!(check_root(&root, NOW - 1001), Err(ChainError::Expired));
    }
}
