//! The extensions that `ApiPassthrough` requests.

use serde::Deserialize;

use crate::failure::{Code, Failure};
use crate::x509::extension::{self, Extension, KeyUsage};
use crate::x509::general_name::GeneralName;
use crate::x509::name::{NameError, Subject, object};
use crate::x509::{der, oid};

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

/// Returns every requested extension, in no particular order. An extension that is requested twice is an error.
pub(crate) fn extensions(asked: &Extensions) -> Result<Vec<Extension>, Failure> {
    let mut all = Vec::new();
    if asked.key_usage == Some(KeyUsage::default()) {
        // RFC 5280, 4.2.1.3: the extension must set at least one bit.
        return Err(Code::InvalidArgs
            .says("Invalid API passthrough: a key usage must set at least one usage"));
    }
    all.extend(asked.key_usage.map(KeyUsage::extension));
    if let Some(purposes) = &asked.extended_key_usage {
        all.push(purposes_of(purposes)?);
    }
    if let Some(policies) = &asked.certificate_policies {
        all.push(policies_of(policies)?);
    }
    if let Some(names) = &asked.subject_alternative_names {
        let names = names
            .iter()
            .map(GeneralName::to_der)
            .collect::<Result<Vec<_>, _>>()
            .map_err(refuse)?;
        let value = der::sequence(names);
        all.push(Extension::new(oid::SUBJECT_ALTERNATIVE_NAME, false, value));
    }
    for custom in asked.custom_extensions.iter().flatten() {
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

/// Returns the object identifier of a purpose; the model's check allows only these names.
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
    for (index, policy) in policies.iter().enumerate() {
        // RFC 5280, 4.2.1.4: a policy must not appear more than once.
        let again = |known: &PolicyInformation| known.cert_policy_id == policy.cert_policy_id;
        if policies[..index].iter().any(again) {
            return Err(Code::InvalidArgs.says(format!(
                "Invalid API passthrough: the policy {} is given more than once",
                policy.cert_policy_id
            )));
        }
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

/// Converts the error for a name into AWS's error.
pub(crate) fn refuse(error: NameError) -> Failure {
    Code::InvalidArgs.says(format!("Invalid API passthrough: {error}"))
}
