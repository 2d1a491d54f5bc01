//! Which subject and extensions a certificate gets.
//!
//! The order of the user guide's page "Template order of operations": what the template fixes wins over the API's
//! passthrough, that over the CSR's. The CRL distribution point is the configuration's, and only without one
//! the API's or the CSR's, as the template's definition says.

use serde::Deserialize;

use crate::authority::failure::{Code, Failure};
use crate::authority::rule::template::{Base, Template};
use crate::authority::x509::extension::{self, Extension, KeyUsage};
use crate::authority::x509::name::{GeneralName, NameError, Subject, object};
use crate::authority::x509::request::{EMPTY_NAME, SigningRequest};
use crate::authority::x509::{der, oid};

/// The service model's `ApiPassthrough`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApiPassthrough {
    pub extensions: Option<Extensions>,
    pub subject: Option<Subject>,
}

/// The service model's `Extensions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Extensions {
    pub certificate_policies: Option<Vec<PolicyInformation>>,
    pub extended_key_usage: Option<Vec<ExtendedKeyUsage>>,
    pub key_usage: Option<KeyUsage>,
    pub subject_alternative_names: Option<Vec<GeneralName>>,
    pub custom_extensions: Option<Vec<CustomExtension>>,
}

/// The service model's `PolicyInformation`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyInformation {
    pub cert_policy_id: String,
    pub policy_qualifiers: Option<Vec<PolicyQualifierInfo>>,
}

/// The service model's `PolicyQualifierInfo`: always a CPS URI.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyQualifierInfo {
    pub qualifier: Qualifier,
}

/// The service model's `Qualifier`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Qualifier {
    pub cps_uri: String,
}

/// The service model's `ExtendedKeyUsage`: exactly one of its members.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExtendedKeyUsage {
    pub extended_key_usage_type: Option<String>,
    pub extended_key_usage_object_identifier: Option<String>,
}

/// The service model's `CustomExtension`; the value is base64.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CustomExtension {
    pub object_identifier: String,
    pub value: String,
    #[serde(default)]
    pub critical: bool,
}

/// What the issuer adds by itself.
#[derive(Debug, Default)]
pub(crate) struct Issuer {
    /// Its key identifier; `None` for a root that signs itself.
    pub key_identifier: Option<Vec<u8>>,
    /// Its CRL distribution point, if it is configured with one.
    pub distribution_point: Option<String>,
    /// Its OCSP responder, if it is configured with one.
    pub responder: Option<String>,
}

/// The Name and the extensions of the certificate.
pub(crate) fn contents(
    template: &Template,
    api: Option<&ApiPassthrough>,
    request: &SigningRequest,
    issuer: &Issuer,
) -> Result<(Vec<u8>, Vec<Extension>), Failure> {
    let api = api.filter(|_| template.api);
    let subject = match api.and_then(|api| api.subject.as_ref()) {
        Some(subject) => subject.to_der().map_err(refuse)?,
        None => request.subject.clone(),
    };
    let offered = api
        .and_then(|api| api.extensions.as_ref())
        .map_or(Ok(Vec::new()), from_api)?;

    let mut all = fixed(template, request, issuer);
    all.extend(alternative_names(template, &offered, request, &subject));
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

/// What the template and the issuer settle between them, so that neither API nor CSR can.
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

/// Every template takes the alternative names of the CSR, unless the API gives some.
fn alternative_names(
    template: &Template,
    offered: &[Extension],
    request: &SigningRequest,
    subject: &[u8],
) -> Option<Extension> {
    let of_api = offered
        .iter()
        .find(|extension| template.api && extension.id == oid::SUBJECT_ALTERNATIVE_NAME);
    let mut names = of_api
        .or_else(|| request.extension(oid::SUBJECT_ALTERNATIVE_NAME))?
        .clone();
    // RFC 5280, 4.2.1.6: with an empty subject it must be critical.
    names.critical |= subject == EMPTY_NAME;
    Some(names)
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

/// Key identifiers are the authority's to say, but for a root's, which its definition takes "from API".
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

/// Adds what isn't there yet: who comes first wins.
fn add(all: &mut Vec<Extension>, extension: Extension) {
    if !all.iter().any(|known| known.id == extension.id) {
        all.push(extension);
    }
}

fn from_api(extensions: &Extensions) -> Result<Vec<Extension>, Failure> {
    let mut all = Vec::new();
    all.extend(extensions.key_usage.map(KeyUsage::extension));
    if let Some(purposes) = &extensions.extended_key_usage {
        all.push(purposes_of(purposes)?);
    }
    if let Some(policies) = &extensions.certificate_policies {
        all.push(policies_of(policies)?);
    }
    if let Some(names) = &extensions.subject_alternative_names {
        let names = names
            .iter()
            .map(GeneralName::to_der)
            .collect::<Result<Vec<_>, _>>()
            .map_err(refuse)?;
        let value = der::sequence(names);
        all.push(Extension::new(oid::SUBJECT_ALTERNATIVE_NAME, false, value));
    }
    for custom in extensions.custom_extensions.iter().flatten() {
        let extension = custom_of(custom)?;
        if all.iter().any(|known| known.id == extension.id) {
            return Err(Code::InvalidArgs.says(format!(
                "The extension {} is given more than once",
                extension.id
            )));
        }
        all.push(extension);
    }
    Ok(all)
}

fn purposes_of(purposes: &[ExtendedKeyUsage]) -> Result<Extension, Failure> {
    let mut ids = Vec::new();
    for purpose in purposes {
        ids.push(
            match (
                purpose.extended_key_usage_type.as_deref(),
                purpose.extended_key_usage_object_identifier.as_deref(),
            ) {
                (Some(name), None) => purpose_named(name).to_owned(),
                (None, Some(id)) => {
                    object(id).map_err(refuse)?;
                    id.to_owned()
                }
                _ => {
                    return Err(Code::InvalidArgs.says(
                        "An extended key usage must have either a type or an object identifier",
                    ));
                }
            },
        );
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Ok(extension::extended_key_usage(false, &ids))
}

/// The model has let only these through.
fn purpose_named(name: &str) -> &'static str {
    match name {
        "SERVER_AUTH" => oid::SERVER_AUTH,
        "CLIENT_AUTH" => oid::CLIENT_AUTH,
        "CODE_SIGNING" => oid::CODE_SIGNING,
        "EMAIL_PROTECTION" => oid::EMAIL_PROTECTION,
        "TIME_STAMPING" => oid::TIME_STAMPING,
        "OCSP_SIGNING" => oid::OCSP_SIGNING,
        "SMART_CARD_LOGIN" => oid::SMART_CARD_LOGIN,
        "DOCUMENT_SIGNING" => oid::DOCUMENT_SIGNING,
        _ => oid::CERTIFICATE_TRANSPARENCY,
    }
}

fn policies_of(policies: &[PolicyInformation]) -> Result<Extension, Failure> {
    let cps = object(oid::CPS_URI).map_err(refuse)?;
    let mut all = Vec::new();
    for policy in policies {
        let mut parts = vec![object(&policy.cert_policy_id).map_err(refuse)?];
        if let Some(qualifiers) = &policy.policy_qualifiers {
            let mut listed = Vec::new();
            for info in qualifiers {
                let uri = &info.qualifier.cps_uri;
                if !uri.is_ascii() {
                    return Err(refuse(NameError::Text("CpsUri")));
                }
                let uri = der::element(der::IA5_STRING, uri.as_bytes());
                listed.push(der::sequence([cps.clone(), uri]));
            }
            parts.push(der::sequence(listed));
        }
        all.push(der::sequence(parts));
    }
    let value = der::sequence(all);
    Ok(Extension::new(oid::CERTIFICATE_POLICIES, false, value))
}

fn custom_of(custom: &CustomExtension) -> Result<Extension, Failure> {
    object(&custom.object_identifier).map_err(refuse)?;
    let value = data_encoding::BASE64
        .decode(custom.value.as_bytes())
        .map_err(|_| Code::InvalidArgs.says("The value of a custom extension is not base64"))?;
    Ok(Extension::new(
        &custom.object_identifier,
        custom.critical,
        value,
    ))
}

fn refuse(error: NameError) -> Failure {
    Code::InvalidArgs.says(format!("Invalid API passthrough: {error}"))
}
