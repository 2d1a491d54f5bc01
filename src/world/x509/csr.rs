use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, string::PrintableString,
};

use super::{
    alternative::AlternativeNames,
    private_key::{KeyError, PrivateKey},
    subject::{ATTRIBUTES, Subject},
};
use crate::value::Secret;
use windlass_ground::words;

/// The contents of a certificate signing request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrRequest {
    pub subject: Subject,
    pub names: AlternativeNames,
    /// RFC 5280's names: `digitalSignature`, `keyCertSign`, …
    pub key_usage: Vec<String>,
    /// `serverAuth`, `clientAuth`, `codeSigning`, `OCSPSigning`.
    pub extended_key_usage: Vec<String>,
    /// Asks for basicConstraints, critical, CA:TRUE.
    pub is_ca: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("`{value}` is not a {what} (one of {names})")]
    Unknown {
        what: &'static str,
        value: String,
        names: String,
    },
    #[error("a request needs a subject or an alternative name")]
    Nobody,
    #[error("the request could not be signed")]
    Sign(#[source] rcgen::Error),
}

const KNOWN_KEY_USAGES: [(&str, KeyUsagePurpose); 9] = [
    ("digitalSignature", KeyUsagePurpose::DigitalSignature),
    ("contentCommitment", KeyUsagePurpose::ContentCommitment),
    ("keyEncipherment", KeyUsagePurpose::KeyEncipherment),
    ("dataEncipherment", KeyUsagePurpose::DataEncipherment),
    ("keyAgreement", KeyUsagePurpose::KeyAgreement),
    ("keyCertSign", KeyUsagePurpose::KeyCertSign),
    ("cRLSign", KeyUsagePurpose::CrlSign),
    ("encipherOnly", KeyUsagePurpose::EncipherOnly),
    ("decipherOnly", KeyUsagePurpose::DecipherOnly),
];

const KNOWN_EXTENDED_KEY_USAGES: [(&str, ExtendedKeyUsagePurpose); 4] = [
    ("serverAuth", ExtendedKeyUsagePurpose::ServerAuth),
    ("clientAuth", ExtendedKeyUsagePurpose::ClientAuth),
    ("codeSigning", ExtendedKeyUsagePurpose::CodeSigning),
    ("OCSPSigning", ExtendedKeyUsagePurpose::OcspSigning),
];

/// The key usages that a request may ask for.
pub const KEY_USAGES: [&str; 9] = words(&KNOWN_KEY_USAGES);
/// The extended key usages that a request may ask for.
pub const EXTENDED_KEY_USAGES: [&str; 4] = words(&KNOWN_EXTENDED_KEY_USAGES);

impl CsrRequest {
    /// Signs the request with a private key and returns it as PEM.
    ///
    /// With an RSA key it uses SHA-256; with a P-384 or P-521 key, the hash of the same size.
    ///
    /// # Errors
    /// A key that can't be read, or a name that a certificate can't contain.
    pub fn sign(&self, key: &Secret) -> Result<String, CsrError> {
        if self.subject.is_empty() && self.names.is_empty() {
            return Err(CsrError::Nobody);
        }
        let pair = PrivateKey::read(key.reveal_bytes(), None)?.pair()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = self.distinguished_name().map_err(CsrError::Sign)?;
        params.subject_alt_names = self.alternative_names().map_err(CsrError::Sign)?;
        params.key_usages = pick("key usage", &KNOWN_KEY_USAGES, &self.key_usage)?;
        params.extended_key_usages = pick(
            "extended key usage",
            &KNOWN_EXTENDED_KEY_USAGES,
            &self.extended_key_usage,
        )?;
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let request = params.serialize_request(&pair).map_err(CsrError::Sign)?;
        request.pem().map_err(CsrError::Sign)
    }

    fn distinguished_name(&self) -> Result<DistinguishedName, rcgen::Error> {
        let mut name = DistinguishedName::new();
        for attribute in &ATTRIBUTES {
            let Some(value) = self.subject.value(attribute.name) else {
                continue;
            };
            let value: DnValue = if attribute.is_printable {
                DnValue::PrintableString(PrintableString::try_from(value)?)
            } else {
                value.into()
            };
            name.push(DnType::from_oid(attribute.oid), value);
        }
        Ok(name)
    }

    fn alternative_names(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let names = &self.names;
        let mut all = Vec::new();
        for name in &names.dns_names {
            all.push(SanType::DnsName(name.as_str().try_into()?));
        }
        for address in &names.ip_addresses {
            all.push(SanType::IpAddress(*address));
        }
        for uri in &names.uris {
            all.push(SanType::URI(uri.as_str().try_into()?));
        }
        for address in &names.email_addresses {
            all.push(SanType::Rfc822Name(address.as_str().try_into()?));
        }
        Ok(all)
    }
}

fn pick<T: Clone, const N: usize>(
    what: &'static str,
    known: &[(&str, T); N],
    wanted: &[String],
) -> Result<Vec<T>, CsrError> {
    wanted
        .iter()
        .map(|name| {
            let found = known.iter().find(|(known, _)| known == name);
            found
                .map(|(_, purpose)| purpose.clone())
                .ok_or_else(|| unknown_name(what, name, known.each_ref().map(|k| k.0)))
        })
        .collect()
}

fn unknown_name<const N: usize>(what: &'static str, value: &str, names: [&str; N]) -> CsrError {
    CsrError::Unknown {
        what,
        value: value.into(),
        names: names.join(", "),
    }
}
