//! The extensions of certificates, requests and CRLs.

use aws_lc_rs::digest;
use serde::Deserialize;

use crate::x509::{der, oid};

/// One extension: what it is, whether it is critical, and its value as DER.
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

    /// The Extension element.
    pub fn to_der(&self) -> Vec<u8> {
        let mut parts = vec![known(&self.id)];
        if self.critical {
            parts.push(der::yes());
        }
        parts.push(der::octets(&self.value));
        der::sequence(parts)
    }
}

/// The key usages of RFC 5280 in the order of their bits.
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
    /// What AWS gives every authority: it signs certificates, CRLs and other things.
    pub const AUTHORITY: Self = Self {
        digital_signature: true,
        key_cert_sign: true,
        crl_sign: true,
        ..Self::NONE
    };
    /// What a TLS end entity does with its key.
    pub const END_ENTITY: Self = Self {
        digital_signature: true,
        key_encipherment: true,
        ..Self::NONE
    };
    /// What a signer of code or of OCSP answers does.
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

    /// The extension, critical as in all of AWS's templates.
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

/// Basic constraints of an authority, always critical.
pub(crate) fn authority_constraints(path_length: Option<u8>) -> Extension {
    let mut parts = vec![der::yes()];
    parts.extend(path_length.map(|length| der::number(u64::from(length))));
    Extension::new(oid::BASIC_CONSTRAINTS, true, der::sequence(parts))
}

/// Basic constraints of an end entity: CA:FALSE is the default, so the sequence is empty.
pub(crate) fn end_entity_constraints(critical: bool) -> Extension {
    Extension::new(oid::BASIC_CONSTRAINTS, critical, der::sequence([[]; 0]))
}

/// The purposes of a key, by object identifier.
pub(crate) fn extended_key_usage(critical: bool, purposes: &[&str]) -> Extension {
    let purposes = purposes.iter().map(|purpose| known(purpose));
    Extension::new(oid::EXTENDED_KEY_USAGE, critical, der::sequence(purposes))
}

/// The subject key identifier.
pub(crate) fn subject_key(identifier: &[u8]) -> Extension {
    Extension::new(oid::SUBJECT_KEY_IDENTIFIER, false, der::octets(identifier))
}

/// The authority key identifier: the key's identifier alone, as AWS writes it.
pub(crate) fn authority_key(identifier: &[u8]) -> Extension {
    let value = der::sequence([der::context_primitive(0, identifier)]);
    Extension::new(oid::AUTHORITY_KEY_IDENTIFIER, false, value)
}

/// Where the CRL lies.
pub(crate) fn distribution_point(url: &str) -> Extension {
    let value = der::sequence([der::sequence([distribution_point_name(url)])]);
    Extension::new(oid::CRL_DISTRIBUTION_POINTS, false, value)
}

/// `[0] DistributionPointName { fullName [0] { URI } }`, also used inside a CRL.
pub(crate) fn distribution_point_name(url: &str) -> Vec<u8> {
    let name = der::context_primitive(6, url.as_bytes());
    der::context(0, &der::context(0, &name))
}

/// Where the OCSP responder is.
pub(crate) fn ocsp_access(url: &str) -> Extension {
    let location = der::context_primitive(6, url.as_bytes());
    let access = der::sequence([known(oid::OCSP), location]);
    Extension::new(
        oid::AUTHORITY_INFORMATION_ACCESS,
        false,
        der::sequence([access]),
    )
}

/// RFC 5280's first method: SHA-1 of the public key's bits, without the structure around them. 20 bytes.
pub(crate) fn key_identifier(public_key_bits: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, public_key_bits)
        .as_ref()
        .to_vec()
}

fn known(dotted: &str) -> Vec<u8> {
    der::object(dotted).expect("extensions are made of identifiers that were read or are constants")
}
