//! The requests to AWS Private CA; the SDK's types are only used inside.

use std::collections::BTreeMap;

use aws_sdk_acmpca::{
    error::BuildError,
    types::{
        Asn1Subject, CertificateAuthorityConfiguration, CertificateAuthorityType, KeyAlgorithm,
        SigningAlgorithm, Tag, ValidityPeriodType,
    },
};

use super::{passthrough::Passthrough, revocation::Revocation};
use crate::{value::parse_duration, x509::Subject};

/// A certificate authority to be created.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// `ROOT` or `SUBORDINATE`.
    pub kind: String,
    pub subject: Subject,
    /// `RSA_2048`, `EC_prime256v1`, …
    pub key_algorithm: String,
    /// The algorithm with which the CA signs its own CSR: `SHA256WITHRSA`, …
    pub signing_algorithm: String,
    /// `GENERAL_PURPOSE`, which is AWS's default, or `SHORT_LIVED_CERTIFICATE`.
    pub usage_mode: Option<String>,
    /// `FIPS_140_2_LEVEL_3_OR_HIGHER`, which is AWS's default, or `CCPC_LEVEL_1_OR_HIGHER` in regions that do not have it.
    pub key_storage_security_standard: Option<String>,
    /// AWS's default is that nothing is published.
    pub revocation: Option<Revocation>,
    pub tags: BTreeMap<String, String>,
}

impl NewAuthority {
    pub(super) fn kind(&self) -> CertificateAuthorityType {
        self.kind.as_str().into()
    }

    pub(super) fn configuration(&self) -> Result<CertificateAuthorityConfiguration, BuildError> {
        CertificateAuthorityConfiguration::builder()
            .key_algorithm(KeyAlgorithm::from(self.key_algorithm.as_str()))
            .signing_algorithm(SigningAlgorithm::from(self.signing_algorithm.as_str()))
            .subject(asn1_subject(&self.subject))
            .build()
    }

    pub(super) fn tags(&self) -> Result<Vec<Tag>, BuildError> {
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        self.tags.iter().map(tag).collect()
    }
}

/// Converts a subject to the SDK's type.
pub(super) fn asn1_subject(subject: &Subject) -> Asn1Subject {
    let attribute = |name: &str| subject.value(name).map(str::to_owned);
    Asn1Subject::builder()
        .set_common_name(attribute("common_name"))
        .set_country(attribute("country"))
        .set_organization(attribute("organization"))
        .set_organizational_unit(attribute("organizational_unit"))
        .set_state(attribute("state"))
        .set_locality(attribute("locality"))
        .set_serial_number(attribute("serial_number"))
        .set_distinguished_name_qualifier(attribute("distinguished_name_qualifier"))
        .set_title(attribute("title"))
        .set_surname(attribute("surname"))
        .set_given_name(attribute("given_name"))
        .set_initials(attribute("initials"))
        .set_pseudonym(attribute("pseudonym"))
        .set_generation_qualifier(attribute("generation_qualifier"))
        .build()
}

/// A certificate to be issued.
#[derive(Clone, Debug)]
pub struct Issue {
    pub authority: String,
    /// PEM.
    pub csr: String,
    pub signing_algorithm: String,
    /// The template's short name, `EndEntityClientAuthCertificate/V1`, or its ARN.
    pub template: Option<String>,
    pub validity: Validity,
    pub passthrough: Passthrough,
}

impl Issue {
    /// Returns the template's ARN, in the partition of the CA.
    pub(super) fn template_arn(&self) -> Option<String> {
        let partition = self.authority.split(':').nth(1).unwrap_or("aws");
        Some(template_arn(self.template.as_ref()?, partition))
    }
}

/// Returns the ARN of a template that is given by its short name or its ARN.
pub fn template_arn(template: &str, partition: &str) -> String {
    if template.starts_with("arn:") {
        template.to_owned()
    } else {
        format!("arn:{partition}:acm-pca:::template/{template}")
    }
}

/// How long a certificate is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    pub unit: String,
    pub value: i64,
}

impl Validity {
    /// Parses `365d`.
    ///
    /// # Errors
    /// The mistake, for anything but whole days.
    pub fn parse(text: &str) -> Result<Self, String> {
        let seconds = parse_duration(text).map_err(|e| e.to_string())?.as_secs();
        match seconds {
            0 => Err("a validity of no time".into()),
            s if s.is_multiple_of(86_400) => Ok(Self {
                unit: "DAYS".into(),
                value: (s / 86_400) as i64,
            }),
            _ => Err(format!("`{text}` is not a whole number of days")),
        }
    }

    pub(super) fn unit(&self) -> ValidityPeriodType {
        self.unit.as_str().into()
    }
}
