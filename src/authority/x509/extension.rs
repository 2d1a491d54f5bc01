//! The extensions of certificates, requests and CRLs.

use aws_lc_rs::digest;
use serde::Deserialize;

use crate::x509::{der, oid};

/// An extension: its identifier, whether it is critical, and its value in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extension {
    pub id: String,
    pub critical: bool,
    pub value: Vec<u8>,
}

impl Extension {
    pub fn new(id: &str, critical: bool, value: Vec<u8>) -> Self {
        Self {
            id: id.to_owned(),
            critical,
            value,
        }
    }

    /// Returns the Extension element.
    pub fn to_der(&self) -> Vec<u8> {
        let mut parts = vec![known(&self.id)];
        if self.critical {
            parts.push(der::yes());
        }
        parts.push(der::octets(&self.value));
        der::sequence(parts)
    }
}

/// The key usages of RFC 5280, in the order of their bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct KeyUsage {
    pub digital_signature: bool,
    pub non_repudiation: bool,
    pub key_encipherment: bool,
    pub data_encipherment: bool,
    pub key_agreement: bool,
    pub key_cert_sign: bool,
    #[serde(rename = "CRLSign")]
    pub crl_sign: bool,
    pub encipher_only: bool,
    pub decipher_only: bool,
}

impl KeyUsage {
    /// The key usage that AWS gives every authority: to sign certificates, CRLs and other data.
    pub const AUTHORITY: Self = Self {
        digital_signature: true,
        key_cert_sign: true,
        crl_sign: true,
        ..Self::NONE
    };
    /// The key usage of a TLS end entity.
    pub const END_ENTITY: Self = Self {
        digital_signature: true,
        key_encipherment: true,
        ..Self::NONE
    };
    /// The key usage of a signer of code or of OCSP responses.
    pub const SIGNER: Self = Self {
        digital_signature: true,
        ..Self::NONE
    };
    const NONE: Self = Self {
        digital_signature: false,
        non_repudiation: false,
        key_encipherment: false,
        data_encipherment: false,
        key_agreement: false,
        key_cert_sign: false,
        crl_sign: false,
        encipher_only: false,
        decipher_only: false,
    };

    /// Returns the extension, which is critical as in all of AWS's templates.
    pub fn extension(self) -> Extension {
        let bits = [
            self.digital_signature,
            self.non_repudiation,
            self.key_encipherment,
            self.data_encipherment,
            self.key_agreement,
            self.key_cert_sign,
            self.crl_sign,
            self.encipher_only,
            self.decipher_only,
        ];
        Extension::new(oid::KEY_USAGE, true, der::named_bits(&bits))
    }
}

/// Returns the basic constraints of an authority, which are always critical.
pub(crate) fn authority_constraints(path_length: Option<u8>) -> Extension {
    let mut parts = vec![der::yes()];
    parts.extend(path_length.map(|length| der::number(u64::from(length))));
    Extension::new(oid::BASIC_CONSTRAINTS, true, der::sequence(parts))
}

/// Returns the basic constraints of an end entity. CA:FALSE is the default, so the sequence is empty.
pub(crate) fn end_entity_constraints(critical: bool) -> Extension {
    Extension::new(oid::BASIC_CONSTRAINTS, critical, der::sequence([[]; 0]))
}

/// Returns the extended key usage with these object identifiers.
pub(crate) fn extended_key_usage(critical: bool, purposes: &[&str]) -> Extension {
    let purposes = purposes.iter().map(|purpose| known(purpose));
    Extension::new(oid::EXTENDED_KEY_USAGE, critical, der::sequence(purposes))
}

/// Returns the subject key identifier.
pub(crate) fn subject_key(identifier: &[u8]) -> Extension {
    Extension::new(oid::SUBJECT_KEY_IDENTIFIER, false, der::octets(identifier))
}

/// Returns the authority key identifier: only the identifier of the key, as on AWS.
pub(crate) fn authority_key(identifier: &[u8]) -> Extension {
    let value = der::sequence([der::context_primitive(0, identifier)]);
    Extension::new(oid::AUTHORITY_KEY_IDENTIFIER, false, value)
}

/// Returns the distribution point of a CRL.
pub(crate) fn distribution_point(url: &str) -> Extension {
    let value = der::sequence([der::sequence([distribution_point_name(url)])]);
    Extension::new(oid::CRL_DISTRIBUTION_POINTS, false, value)
}

/// Returns `[0] DistributionPointName { fullName [0] { URI } }`, which is also used inside a CRL.
pub(crate) fn distribution_point_name(url: &str) -> Vec<u8> {
    let name = der::context_primitive(6, url.as_bytes());
    der::context(0, &der::context(0, &name))
}

/// Returns the address of the OCSP responder.
pub(crate) fn ocsp_access(url: &str) -> Extension {
    let location = der::context_primitive(6, url.as_bytes());
    let access = der::sequence([known(oid::OCSP), location]);
    Extension::new(
        oid::AUTHORITY_INFORMATION_ACCESS,
        false,
        der::sequence([access]),
    )
}

/// Computes a key identifier with RFC 5280's first method: the SHA-1 (20 bytes) of the public key's bits, without the
/// structure around them.
pub(crate) fn key_identifier(public_key_bits: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, public_key_bits)
        .as_ref()
        .to_vec()
}

fn known(dotted: &str) -> Vec<u8> {
    der::object(dotted).expect("the identifiers of extensions are constants or were parsed before")
}
