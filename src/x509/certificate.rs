use time::OffsetDateTime;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    pem::Pem,
    prelude::{FromDer, X509Certificate},
};

use crate::value::{Digest, Value};

/// What people ask of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// RFC 4514 order as openssl prints it: `C=US, O=Solo.io, CN=…`.
    pub subject: String,
    pub issuer: String,
    /// Hex, as in the certificate's ARN. A string: serials don't fit an integer.
    pub serial: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    pub dns_names: Vec<String>,
    pub is_ca: bool,
    /// SHA-256 of the DER.
    pub fingerprint: Digest,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the text holds no certificate in PEM")]
    NotPem,
    #[error("certificate {number} of the text is not readable X.509")]
    NotX509 { number: usize },
}

impl Certificate {
    /// Reads every certificate of a PEM text, in its order.
    ///
    /// # Errors
    /// A text without a certificate, or with one that is no X.509.
    pub fn read_all(pem: &str) -> Result<Vec<Self>, ReadError> {
        let blocks = Pem::iter_from_buffer(pem.as_bytes()).filter_map(Result::ok);
        let certificates: Vec<_> = blocks
            .filter(|block| block.label == "CERTIFICATE")
            .collect();
        if certificates.is_empty() {
            return Err(ReadError::NotPem);
        }
        certificates
            .iter()
            .enumerate()
            .map(|(i, block)| {
                Self::read_der(&block.contents).ok_or(ReadError::NotX509 { number: i + 1 })
            })
            .collect()
    }

    fn read_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let dns_names = certificate
            .extensions()
            .iter()
            .filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            })
            .flatten()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: certificate
                .serial
                .to_bytes_be()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            dns_names,
            is_ca: certificate.is_ca(),
            fingerprint: Digest::of_content(der),
        })
    }

    /// As a script sees it, and as the journal keeps it.
    pub fn to_value(&self) -> Value {
        let time = |at: OffsetDateTime| {
            let format = &time::format_description::well_known::Rfc3339;
            Value::from(at.format(format).unwrap_or_default())
        };
        Value::map([
            ("subject", self.subject.as_str().into()),
            ("issuer", self.issuer.as_str().into()),
            ("serial", self.serial.as_str().into()),
            ("not_before", time(self.not_before)),
            ("not_after", time(self.not_after)),
            ("dns_names", self.dns_names.clone().into()),
            ("is_ca", self.is_ca.into()),
            ("fingerprint", self.fingerprint.to_string().into()),
        ])
    }
}
