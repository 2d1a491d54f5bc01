use std::net::IpAddr;

use data_encoding::{BASE64, HEXLOWER};
use time::OffsetDateTime;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer, X509Certificate},
};

use super::{
    alternative::AlternativeNames,
    name::rfc4514,
    pem::{self, Block, PemError},
};
use crate::value::{Digest, Value};

/// The data of a certificate that people need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// In the form of RFC 4514, with the last attribute first: `CN=…,O=Solo.io,C=US`.
    pub subject: String,
    pub issuer: String,
    /// Hex, as in the certificate's ARN. A string: serials don't fit an integer.
    pub serial: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    pub names: AlternativeNames,
    pub is_ca: bool,
    /// SHA-256 of the DER.
    pub fingerprint: Digest,
    /// SHA-256 of the public key's DER (its SubjectPublicKeyInfo).
    pub key_digest: Digest,
    /// The id of its own key (RFC 5280, 4.2.1.2), hex, if it has one.
    pub subject_key_id: Option<String>,
    /// The id of its issuer's key (RFC 5280, 4.2.1.1), hex, if it has one.
    pub authority_key_id: Option<String>,
    pub der: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("block {number} of the text (from line {line}) is not a readable X.509 certificate")]
    NotX509 { number: usize, line: usize },
}

impl Certificate {
    /// Reads every certificate of a PEM text, in order.
    ///
    /// # Errors
    /// A text without a certificate, a damaged block, or a block that is not X.509.
    pub fn read_all(text: &[u8]) -> Result<Vec<Self>, ReadError> {
        let read = |block: Block| {
            Self::read_der(&block.content).ok_or(ReadError::NotX509 {
                number: block.number,
                line: block.line,
            })
        };
        pem::certificates(text)?.into_iter().map(read).collect()
    }

    /// Reads one certificate, which must take up all of the DER. `None` if it is not one.
    pub fn read_der(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            subject: rfc4514(certificate.subject()),
            issuer: rfc4514(certificate.issuer()),
            serial: HEXLOWER.encode(&certificate.serial.to_bytes_be()),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            names: names(&certificate),
            is_ca: certificate.is_ca(),
            fingerprint: Digest::of_content(der),
            key_digest: Digest::of_content(certificate.public_key().raw),
            subject_key_id: subject_key_id(&certificate),
            authority_key_id: authority_key_id(&certificate),
            der: der.to_vec(),
        })
    }

    /// Returns PEM with lines of 64 characters, as OpenSSL and AWS write them.
    pub fn to_pem(&self) -> String {
        let text = BASE64.encode(&self.der);
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    }

    /// Returns the certificate as scripts see it and the journal stores it.
    pub fn to_value(&self) -> Value {
        let time = |at: OffsetDateTime| {
            let format = &time::format_description::well_known::Rfc3339;
            Value::from(at.format(format).unwrap_or_default())
        };
        let ip_addresses: Vec<_> = self
            .names
            .ip_addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        Value::map([
            ("subject", self.subject.as_str().into()),
            ("issuer", self.issuer.as_str().into()),
            ("serial", self.serial.as_str().into()),
            ("not_before", time(self.not_before)),
            ("not_after", time(self.not_after)),
            ("dns_names", self.names.dns_names.clone().into()),
            ("ip_addresses", ip_addresses.into()),
            ("uris", self.names.uris.clone().into()),
            ("email_addresses", self.names.email_addresses.clone().into()),
            ("is_ca", self.is_ca.into()),
            ("fingerprint", self.fingerprint.to_string().into()),
            ("public_key_sha256", self.key_digest.to_string().into()),
            ("subject_key_id", self.subject_key_id.clone().into()),
            ("authority_key_id", self.authority_key_id.clone().into()),
        ])
    }
}

fn subject_key_id(certificate: &X509Certificate) -> Option<String> {
    let found = extensions(certificate).find_map(|extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    });
    found.map(|id| HEXLOWER.encode(id))
}

fn authority_key_id(certificate: &X509Certificate) -> Option<String> {
    let found = extensions(certificate).find_map(|extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(of) => of.key_identifier.as_ref(),
        _ => None,
    });
    found.map(|id| HEXLOWER.encode(id.0))
}

fn extensions<'a>(
    certificate: &'a X509Certificate<'a>,
) -> impl Iterator<Item = &'a ParsedExtension<'a>> {
    let all = certificate.extensions().iter();
    all.map(|extension| extension.parsed_extension())
}

/// Returns the alternative names without checking them: names that others sign may not be valid here.
fn names(certificate: &X509Certificate) -> AlternativeNames {
    let mut names = AlternativeNames::default();
    let general_names = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten();
    for name in general_names {
        match name {
            GeneralName::DNSName(name) => names.dns_names.push((*name).into()),
            GeneralName::RFC822Name(name) => names.email_addresses.push((*name).into()),
            GeneralName::URI(name) => names.uris.push((*name).into()),
            GeneralName::IPAddress(bytes) => names.ip_addresses.extend(ip_address(bytes)),
            _ => {}
        }
    }
    names
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    four.or(sixteen).ok()
}
