//! Which subject and extensions a certificate gets.
//!
//! The precedence is that of the user guide's page "Template order of operations": first what the template defines, then the
//! API passthrough, then the CSR. The CRL distribution point comes from the configuration; without one, it comes from the
//! API or the CSR, as the template's definition says.

use crate::failure::{Code, Failure};
use crate::rule::api::{self, ApiPassthrough};
use crate::rule::template::{Base, Template};
use crate::x509::constraint;
use crate::x509::extension::{self, Extension, KeyUsage};
use crate::x509::request::{EMPTY_NAME, SigningRequest};
use crate::x509::{name, oid};

/// What the issuer adds to the certificate.
#[derive(Debug, Default)]
pub(crate) struct Issuer {
    /// Its key identifier; `None` for a root that signs its own certificate.
    pub key_identifier: Option<Vec<u8>>,
    /// Its CRL distribution point, if one is configured.
    pub distribution_point: Option<String>,
    /// Its OCSP responder, if one is configured.
    pub responder: Option<String>,
}

/// Returns the subject (a Name in DER) and the extensions of the certificate.
pub(crate) fn contents(
    template: &Template,
    asked: Option<&ApiPassthrough>,
    request: &SigningRequest,
    issuer: &Issuer,
) -> Result<(Vec<u8>, Vec<Extension>), Failure> {
    let asked = asked.filter(|_| template.api);
    let subject = match asked.and_then(|asked| asked.subject.as_ref()) {
        Some(subject) => subject.to_der().map_err(api::refuse)?,
        None => {
            let refuse = |error| Code::MalformedCsr.says(format!("Invalid subject: {error}"));
            name::check(&request.subject).map_err(refuse)?;
            request.subject.clone()
        }
    };
    let offered = asked
        .and_then(|asked| asked.extensions.as_ref())
        .map_or(Ok(Vec::new()), api::extensions)?;

    let mut all = fixed(template, request, issuer);
    all.extend(alternative_names(template, &offered, request, &subject)?);
    all.extend(distribution_points(template, &offered, request, issuer));
    for extension in offered {
        if may_come_from_api(template, &extension.id) {
            add(&mut all, extension);
        }
    }
    if template.csr {
        for extension in &request.extensions {
            if may_come_from_csr(&extension.id) {
                add(&mut all, extension.clone());
            }
        }
    }
    if subject == EMPTY_NAME && !all.iter().any(|e| e.id == oid::SUBJECT_ALTERNATIVE_NAME) {
        return Err(Code::MalformedCsr
            .says("The CSR must provide either a subject name or a subject alternative name"));
    }
    Ok((subject, all))
}

/// Returns the extensions that the template and the issuer define, which the API and the CSR can't change.
fn fixed(template: &Template, request: &SigningRequest, issuer: &Issuer) -> Vec<Extension> {
    let authority = template.base.is_root() || template.base.is_subordinate();
    let mut all = vec![if authority {
        extension::authority_constraints(template.path_length)
    } else {
        extension::end_entity_constraints(template.critical_constraints)
    }];
    all.extend(
        issuer
            .key_identifier
            .as_deref()
            .map(extension::authority_key),
    );
    let own = extension::key_identifier(&request.public_key_bits);
    all.push(extension::subject_key(&own));
    let usage = match template.base {
        Base::Root | Base::Subordinate => Some(KeyUsage::AUTHORITY),
        Base::CodeSigning | Base::OcspSigning => Some(KeyUsage::SIGNER),
        base if base.is_blank() => None,
        _ => Some(KeyUsage::END_ENTITY),
    };
    all.extend(usage.map(KeyUsage::extension));
    let purposes: Option<(bool, &[&str])> = match template.base {
        Base::CodeSigning => Some((true, &[oid::CODE_SIGNING])),
        Base::OcspSigning => Some((true, &[oid::OCSP_SIGNING])),
        Base::EndEntity => Some((false, &[oid::SERVER_AUTH, oid::CLIENT_AUTH])),
        Base::EndEntityClientAuth => Some((false, &[oid::CLIENT_AUTH])),
        Base::EndEntityServerAuth => Some((false, &[oid::SERVER_AUTH])),
        _ => None,
    };
    all.extend(purposes.map(|(critical, ids)| extension::extended_key_usage(critical, ids)));
    all.extend(issuer.responder.as_deref().map(extension::ocsp_access));
    all
}

/// Returns the alternative names. Every template accepts those of the CSR, unless the API specifies some.
fn alternative_names(
    template: &Template,
    offered: &[Extension],
    request: &SigningRequest,
    subject: &[u8],
) -> Result<Option<Extension>, Failure> {
    let of_api = offered
        .iter()
        .find(|extension| template.api && extension.id == oid::SUBJECT_ALTERNATIVE_NAME);
    let of_csr = || request.extension(oid::SUBJECT_ALTERNATIVE_NAME);
    let Some(mut names) = of_api.or_else(of_csr).cloned() else {
        return Ok(None);
    };
    if constraint::alternative(&names.value).is_none() {
        let message = "The subject alternative name cannot be read";
        return Err(if of_api.is_some() {
            Code::InvalidArgs
        } else {
            Code::MalformedCsr
        }
        .says(message));
    }
    // RFC 5280, 4.2.1.6: the extension must be critical if the subject is empty.
    names.critical |= subject == EMPTY_NAME;
    Ok(Some(names))
}

fn distribution_points(
    template: &Template,
    offered: &[Extension],
    request: &SigningRequest,
    issuer: &Issuer,
) -> Option<Extension> {
    if template.base == Base::Root {
        return None;
    }
    if let Some(url) = issuer
        .distribution_point
        .as_deref()
        .filter(|_| !template.base.is_root())
    {
        return Some(extension::distribution_point(url));
    }
    let of_api =
        template.base == Base::BlankRoot || (template.api && template.critical_constraints);
    offered
        .iter()
        .find(|extension| of_api && extension.id == oid::CRL_DISTRIBUTION_POINTS)
        .or_else(|| {
            request
                .extension(oid::CRL_DISTRIBUTION_POINTS)
                .filter(|_| template.csr)
        })
        .cloned()
}

/// Returns whether an extension may come from the API. A key identifier may do so only for a root, whose definition says
/// "from API".
fn may_come_from_api(template: &Template, id: &str) -> bool {
    match id {
        oid::AUTHORITY_KEY_IDENTIFIER => template.base.is_root(),
        oid::CRL_DISTRIBUTION_POINTS | oid::SUBJECT_ALTERNATIVE_NAME => false,
        _ => true,
    }
}

fn may_come_from_csr(id: &str) -> bool {
    !matches!(
        id,
        oid::AUTHORITY_KEY_IDENTIFIER
            | oid::SUBJECT_KEY_IDENTIFIER
            | oid::CRL_DISTRIBUTION_POINTS
            | oid::SUBJECT_ALTERNATIVE_NAME
    )
}

/// Adds an extension that is not there yet: the first one takes precedence.
fn add(all: &mut Vec<Extension>, extension: Extension) {
    if !all.iter().any(|known| known.id == extension.id) {
        all.push(extension);
    }
}
