use aws_sdk_acmpca::{
    error::BuildError,
    types::{
        ApiPassthrough, CustomExtension, ExtendedKeyUsage, Extensions, GeneralName, KeyUsage,
        PolicyInformation,
    },
};

use super::request::asn1_subject;
use crate::x509::{AlternativeNames, Subject};

/// What a certificate contains besides its CSR, for the templates named `…APIPassthrough`.
#[derive(Clone, Debug, Default)]
pub struct Passthrough {
    pub subject: Subject,
    pub names: AlternativeNames,
    /// RFC 5280's names: `digitalSignature`, …
    pub key_usage: Vec<String>,
    /// AWS's names (`SERVER_AUTH`, …) or object identifiers.
    pub extended_key_usage: Vec<String>,
    /// Object identifiers.
    pub certificate_policies: Vec<String>,
    pub custom_extensions: Vec<Extension>,
}

/// An extension that AWS has no field for.
#[derive(Clone, Debug)]
pub struct Extension {
    pub object_identifier: String,
    /// The DER, base64.
    pub value: String,
    pub is_critical: bool,
}

impl Passthrough {
    /// Says whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.subject.is_empty() && self.has_no_extensions()
    }

    fn has_no_extensions(&self) -> bool {
        let lists = [
            &self.key_usage,
            &self.extended_key_usage,
            &self.certificate_policies,
        ];
        self.names.is_empty()
            && lists.iter().all(|list| list.is_empty())
            && self.custom_extensions.is_empty()
    }

    /// Returns `None` if it is empty, because AWS rejects an empty one.
    pub(super) fn to_sdk(&self) -> Result<Option<ApiPassthrough>, BuildError> {
        let extensions = self.extensions()?;
        let subject = (!self.subject.is_empty()).then(|| asn1_subject(&self.subject));
        if extensions.is_none() && subject.is_none() {
            return Ok(None);
        }
        let built = ApiPassthrough::builder()
            .set_extensions(extensions)
            .set_subject(subject)
            .build();
        Ok(Some(built))
    }

    fn extensions(&self) -> Result<Option<Extensions>, BuildError> {
        if self.has_no_extensions() {
            return Ok(None);
        }
        let mut extensions = Extensions::builder();
        for name in self.general_names() {
            extensions = extensions.subject_alternative_names(name);
        }
        if !self.key_usage.is_empty() {
            extensions = extensions.key_usage(self.key_usage());
        }
        for usage in &self.extended_key_usage {
            let is_oid = usage.starts_with(|c: char| c.is_ascii_digit());
            let built = if is_oid {
                ExtendedKeyUsage::builder().extended_key_usage_object_identifier(usage)
            } else {
                ExtendedKeyUsage::builder().extended_key_usage_type(usage.as_str().into())
            };
            extensions = extensions.extended_key_usage(built.build());
        }
        for policy in &self.certificate_policies {
            let policy = PolicyInformation::builder()
                .cert_policy_id(policy)
                .build()?;
            extensions = extensions.certificate_policies(policy);
        }
        for custom in &self.custom_extensions {
            let custom = CustomExtension::builder()
                .object_identifier(&custom.object_identifier)
                .value(&custom.value)
                .critical(custom.is_critical)
                .build()?;
            extensions = extensions.custom_extensions(custom);
        }
        Ok(Some(extensions.build()))
    }

    fn general_names(&self) -> impl Iterator<Item = GeneralName> {
        let names = &self.names;
        let dns = names
            .dns_names
            .iter()
            .map(|name| GeneralName::builder().dns_name(name));
        let addresses = names
            .ip_addresses
            .iter()
            .map(|address| GeneralName::builder().ip_address(address.to_string()));
        let uris = names
            .uris
            .iter()
            .map(|uri| GeneralName::builder().uniform_resource_identifier(uri));
        let emails = names
            .email_addresses
            .iter()
            .map(|address| GeneralName::builder().rfc822_name(address));
        dns.chain(addresses)
            .chain(uris)
            .chain(emails)
            .map(|name| name.build())
    }

    fn key_usage(&self) -> KeyUsage {
        let has = |name: &str| self.key_usage.iter().any(|usage| usage == name);
        KeyUsage::builder()
            .digital_signature(has("digitalSignature"))
            .non_repudiation(has("contentCommitment"))
            .key_encipherment(has("keyEncipherment"))
            .data_encipherment(has("dataEncipherment"))
            .key_agreement(has("keyAgreement"))
            .key_cert_sign(has("keyCertSign"))
            .crl_sign(has("cRLSign"))
            .encipher_only(has("encipherOnly"))
            .decipher_only(has("decipherOnly"))
            .build()
    }
}
