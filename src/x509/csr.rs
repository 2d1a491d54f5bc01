use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::value::Secret;

/// What a certificate signing request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrRequest {
    /// Attribute (`common_name`, `organization`, …) and value.
    pub subject: Vec<(String, String)>,
    pub dns_names: Vec<String>,
    /// RFC 5280's names: `digitalSignature`, `keyCertSign`, …
    pub key_usage: Vec<String>,
    /// `serverAuth`, `clientAuth`, `codeSigning`, `OCSPSigning`.
    pub extended_key_usage: Vec<String>,
    /// Asks for basicConstraints, critical, CA:TRUE.
    pub is_ca: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    #[error("the key is not a private key in PKCS #8 PEM that can be used here")]
    Key,
    #[error("`{0}` is not a DNS name that a certificate can hold")]
    DnsName(String),
    #[error("`{value}` is not a {what} (one of {names})")]
    Unknown {
        what: &'static str,
        value: String,
        names: String,
    },
    #[error("a request needs a subject or a DNS name")]
    Nobody,
    #[error("the request could not be signed")]
    Sign(#[source] rcgen::Error),
}

const KEY_USAGES: [(&str, KeyUsagePurpose); 9] = [
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

const EXTENDED_KEY_USAGES: [(&str, ExtendedKeyUsagePurpose); 4] = [
    ("serverAuth", ExtendedKeyUsagePurpose::ServerAuth),
    ("clientAuth", ExtendedKeyUsagePurpose::ClientAuth),
    ("codeSigning", ExtendedKeyUsagePurpose::CodeSigning),
    ("OCSPSigning", ExtendedKeyUsagePurpose::OcspSigning),
];

/// The attributes in the order in which a distinguished name is usually written.
const ATTRIBUTES: [(&str, &[u64]); 14] = [
    ("country", &[2, 5, 4, 6]),
    ("organization", &[2, 5, 4, 10]),
    ("organizational_unit", &[2, 5, 4, 11]),
    ("state", &[2, 5, 4, 8]),
    ("locality", &[2, 5, 4, 7]),
    ("common_name", &[2, 5, 4, 3]),
    ("serial_number", &[2, 5, 4, 5]),
    ("distinguished_name_qualifier", &[2, 5, 4, 46]),
    ("title", &[2, 5, 4, 12]),
    ("surname", &[2, 5, 4, 4]),
    ("given_name", &[2, 5, 4, 42]),
    ("initials", &[2, 5, 4, 43]),
    ("pseudonym", &[2, 5, 4, 65]),
    ("generation_qualifier", &[2, 5, 4, 44]),
];

impl CsrRequest {
    /// Signs the request with a private key and returns it as PEM.
    ///
    /// An RSA key signs with SHA-256; a P-384 or P-521 key with the hash of its own size.
    ///
    /// # Errors
    /// A key that can't be read, or a name that no certificate can hold.
    pub fn sign(&self, key: &Secret) -> Result<String, CsrError> {
        if self.subject.is_empty() && self.dns_names.is_empty() {
            return Err(CsrError::Nobody);
        }
        let pair = KeyPair::from_pem(key.reveal()).map_err(|_| CsrError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = self.distinguished_name()?;
        params.subject_alt_names = self
            .dns_names
            .iter()
            .map(|name| {
                let ia5 = name
                    .as_str()
                    .try_into()
                    .map_err(|_| CsrError::DnsName(name.clone()))?;
                Ok(SanType::DnsName(ia5))
            })
            .collect::<Result<_, CsrError>>()?;
        params.key_usages = pick("key usage", &KEY_USAGES, &self.key_usage)?;
        params.extended_key_usages = pick(
            "extended key usage",
            &EXTENDED_KEY_USAGES,
            &self.extended_key_usage,
        )?;
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let request = params.serialize_request(&pair).map_err(CsrError::Sign)?;
        request.pem().map_err(CsrError::Sign)
    }

    fn distinguished_name(&self) -> Result<DistinguishedName, CsrError> {
        let mut name = DistinguishedName::new();
        for (attribute, oid) in ATTRIBUTES {
            for (_, value) in self.subject.iter().filter(|(key, _)| key == attribute) {
                name.push(DnType::from_oid(oid), value.as_str());
            }
        }
        let unknown = self
            .subject
            .iter()
            .find(|(key, _)| !ATTRIBUTES.iter().any(|(known, _)| known == key));
        match unknown {
            Some((key, _)) => Err(unknown_name(
                "subject attribute",
                key,
                ATTRIBUTES.map(|a| a.0),
            )),
            None => Ok(name),
        }
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
