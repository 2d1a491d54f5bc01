//! The signature of a timestamp (CMS `SignedData`, RFC 5652), and its signer (RFC 3161, sections 2.3 and 2.4.2).

use aws_lc_rs::digest;
use time::OffsetDateTime;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{
    asn1_rs::{Any, FromBer},
    der_parser::ber::{BerObject, BerObjectContent, parse_ber},
    extensions::ParsedExtension,
    prelude::{FromDer, X509Certificate},
};

use super::{certificate::Certificate, timestamp::object};

/// `id-ct-TSTInfo`.
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
/// `signingCertificate` (RFC 2634), which identifies the certificate by its SHA-1.
const SIGNING_CERTIFICATE: &str = "1.2.840.113549.1.9.16.2.12";
/// `signingCertificateV2` (RFC 5035), which uses SHA-256 unless it names another digest.
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";
/// `id-kp-timeStamping`, as DER without its tag and length.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// The tag of `SET OF`, which is signed instead of the implicit tag that is sent (RFC 5652, section 5.4).
const SET_OF: u8 = 0x31;

/// The reason why the signature of a timestamp is not that of a time stamping authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    #[error("the timestamp does not hold the certificate that it is signed with")]
    NoCertificate,
    #[error("the signature of the timestamp does not hold")]
    Signature,
    #[error(
        "`{0}` is no certificate of a time stamping authority: its extended key usage must be timeStamping alone, and critical"
    )]
    Usage(String),
    #[error("`{0}` was not valid when it signed the timestamp")]
    Validity(String),
    #[error("`{0}` leads to none of the CAs that are given{1}")]
    Untrusted(String, String),
}

/// The signed content of a token, and its signature.
pub(super) struct SignedData {
    pub content: Vec<u8>,
    certificates: Vec<Certificate>,
    signer: SignerInfo,
}

struct SignerInfo {
    /// The OID of the digest in `messageDigest`.
    digest: String,
    /// The signed attributes, in the form that is signed.
    signed: Vec<u8>,
    attributes: Vec<(String, Vec<u8>)>,
    signature: Vec<u8>,
}

/// The signer of a timestamp.
pub(super) struct Signer<'a> {
    certificate: &'a Certificate,
    /// The other certificates in the timestamp.
    others: &'a [Certificate],
}

impl SignedData {
    /// Reads a `ContentInfo` that contains one, with one signer, as RFC 3161 requires.
    pub fn of(token: &BerObject) -> Option<Self> {
        let signed = object(tagged(token.as_sequence().ok()?.get(1)?)?)?;
        let parts = signed.as_sequence().ok()?;
        let content = parts.get(2)?.as_sequence().ok()?;
        if oid(content.first()?)? != TST_INFO {
            return None;
        }
        let content = object(tagged(content.get(1)?)?)?.as_slice().ok()?.to_vec();
        let certificates = parts[3..]
            .iter()
            .find_map(|part| match part.header.tag().0 {
                0 => tagged(part),
                _ => None,
            });
        let signers = parts.last()?.as_set().ok()?;
        let [signer] = signers.as_slice() else {
            return None;
        };
        Some(Self {
            content,
            certificates: read_certificates(certificates.unwrap_or_default()),
            signer: SignerInfo::of(signer)?,
        })
    }

    /// Finds the signer of the content.
    ///
    /// # Errors
    /// No certificate, or a signature that is not valid.
    pub fn signer(&self, content: &[u8]) -> Result<Signer<'_>, SignerError> {
        let mut certificates = self.certificates.iter();
        let named = certificates.find(|certificate| self.signer.names(&certificate.der));
        let certificate = named.ok_or(SignerError::NoCertificate)?;
        if self.signer.has_signed(content, &certificate.der) {
            Ok(Signer {
                certificate,
                others: &self.certificates,
            })
        } else {
            Err(SignerError::Signature)
        }
    }
}

impl SignerInfo {
    /// `SEQUENCE { version, sid, digestAlgorithm, [0] signedAttrs, signatureAlgorithm, signature, … }`.
    fn of(info: &BerObject) -> Option<Self> {
        let parts = info.as_sequence().ok()?;
        let digest = oid(parts.get(2)?.as_sequence().ok()?.first()?)?;
        let attributes = tagged(parts.get(3)?)?;
        let mut signed = vec![SET_OF];
        signed.extend(length(attributes.len()));
        signed.extend(attributes);
        Some(Self {
            digest,
            signed,
            attributes: read_attributes(attributes)?,
            signature: parts.get(5)?.as_slice().ok()?.to_vec(),
        })
    }

    fn attribute(&self, wanted: &str) -> Option<BerObject<'_>> {
        let found = self.attributes.iter().find(|(name, _)| name == wanted);
        object(&found?.1)
    }

    /// Says whether the signed attributes name this certificate as the signer's.
    fn names(&self, certificate: &[u8]) -> bool {
        let hash = |attribute: BerObject, usual: &'static digest::Algorithm| {
            // `SEQUENCE { certs SEQUENCE OF ESSCertID { [hashAlgorithm,] certHash, … }, … }`.
            let certs = attribute.as_sequence().ok()?.first()?;
            let first = certs.as_sequence().ok()?.first()?.as_sequence().ok()?;
            let (algorithm, hash) = match first.first()?.as_slice() {
                Ok(hash) => (usual, hash),
                Err(_) => {
                    let named = oid(first.first()?.as_sequence().ok()?.first()?)?;
                    (algorithm(&named)?, first.get(1)?.as_slice().ok()?)
                }
            };
            Some(digest::digest(algorithm, certificate).as_ref() == hash)
        };
        let newer = self
            .attribute(SIGNING_CERTIFICATE_V2)
            .and_then(|found| hash(found, &digest::SHA256));
        let older = || {
            self.attribute(SIGNING_CERTIFICATE)
                .and_then(|found| hash(found, &digest::SHA1_FOR_LEGACY_USE_ONLY))
        };
        newer.or_else(older) == Some(true)
    }

    fn has_signed(&self, content: &[u8], certificate: &[u8]) -> bool {
        let type_of = self.attribute(CONTENT_TYPE);
        let is_of_content = type_of.as_ref().and_then(oid).as_deref() == Some(TST_INFO);
        let digest = algorithm(&self.digest).map(|algorithm| digest::digest(algorithm, content));
        let stated = self.attribute(MESSAGE_DIGEST);
        let stated = stated.as_ref().and_then(|stated| stated.as_slice().ok());
        if !is_of_content || digest.as_ref().map(AsRef::as_ref) != stated || stated.is_none() {
            return false;
        }
        let der = CertificateDer::from(certificate);
        EndEntityCert::try_from(&der).is_ok_and(|signer| {
            let mut algorithms = ALL_VERIFICATION_ALGS.iter();
            algorithms.any(|algorithm| {
                let (signed, signature) = (&self.signed, &self.signature);
                signer
                    .verify_signature(*algorithm, signed, signature)
                    .is_ok()
            })
        })
    }
}

impl Signer<'_> {
    pub fn subject(&self) -> &str {
        &self.certificate.subject
    }

    /// Checks the certificate: its use, that it was valid, and, if `roots` are given, that it leads to one of them.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, at: OffsetDateTime, roots: &[Certificate]) -> Result<(), SignerError> {
        let Certificate {
            subject,
            not_before,
            not_after,
            der,
            ..
        } = self.certificate;
        if !is_for_timestamps(der) {
            return Err(SignerError::Usage(subject.clone()));
        }
        if at < *not_before || at > *not_after {
            return Err(SignerError::Validity(subject.clone()));
        }
        // A certificate that is itself trusted needs no path.
        if roots.is_empty() || roots.iter().any(|root| root.der == *der) {
            return Ok(());
        }
        let ders: Vec<_> = roots.iter().map(certificate_der).collect();
        let anchors: Vec<_> = ders
            .iter()
            .filter_map(|der| anchor_from_trusted_cert(der).ok())
            .collect();
        let chain: Vec<_> = self.others.iter().map(certificate_der).collect();
        let seconds = at.unix_timestamp().max(0).unsigned_abs();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let own = certificate_der(self.certificate);
        let verified = EndEntityCert::try_from(&own).and_then(|signer| {
            // The usage of the signer itself has been checked above. A CA without the extension may issue for any purpose, as in OpenSSL.
            let usage = KeyUsage::required_if_present(TIME_STAMPING);
            let algorithms = ALL_VERIFICATION_ALGS;
            signer
                .verify_for_usage(algorithms, &anchors, &chain, at, usage, None, None)
                .map(|_| ())
        });
        verified.map_err(|e| {
            let why = match e {
                webpki::Error::UnknownIssuer => String::new(),
                other => format!(": {other}"),
            };
            SignerError::Untrusted(subject.clone(), why)
        })
    }
}

fn certificate_der(certificate: &Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.der.clone())
}

/// RFC 3161, section 2.3: the extension is critical, and contains this purpose and no other.
fn is_for_timestamps(der: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    let mut extensions = certificate.extensions().iter();
    extensions.any(|extension| match extension.parsed_extension() {
        ParsedExtension::ExtendedKeyUsage(usage) => {
            let has_others = usage.any
                || usage.server_auth
                || usage.client_auth
                || usage.code_signing
                || usage.email_protection
                || usage.ocsp_signing
                || !usage.other.is_empty();
            extension.critical && usage.time_stamping && !has_others
        }
        _ => false,
    })
}

fn algorithm(oid: &str) -> Option<&'static digest::Algorithm> {
    match oid {
        "2.16.840.1.101.3.4.2.1" => Some(&digest::SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&digest::SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&digest::SHA512),
        _ => None,
    }
}

fn oid(object: &BerObject) -> Option<String> {
    Some(object.as_oid().ok()?.to_id_string())
}

/// Returns the content of a context-specific tag.
fn tagged<'a>(object: &BerObject<'a>) -> Option<&'a [u8]> {
    match &object.content {
        BerObjectContent::Unknown(any) => Some(any.data),
        _ => None,
    }
}

/// Returns the names and the first values of attributes in sequence: `SEQUENCE { type, SET OF value }`.
fn read_attributes(mut der: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (rest, attribute) = Any::from_ber(der).ok()?;
        let (values, name) = Any::from_ber(attribute.data).ok()?;
        let (_, values) = Any::from_ber(values).ok()?;
        let name = name.as_oid().ok()?.to_id_string();
        found.push((name, values.data.to_vec()));
        der = rest;
    }
    Some(found)
}

/// Returns the certificates of a `CertificateSet`, and skips other entries.
fn read_certificates(mut der: &[u8]) -> Vec<Certificate> {
    let mut found = Vec::new();
    while let Ok((rest, _)) = parse_ber(der) {
        found.extend(Certificate::read_der(&der[..der.len() - rest.len()]));
        der = rest;
    }
    found
}

/// Encodes a length in DER.
fn length(of: usize) -> Vec<u8> {
    if of < 0x80 {
        return vec![of as u8];
    }
    let bytes = of.to_be_bytes();
    let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    [&[0x80 | digits.len() as u8], digits.as_slice()].concat()
}
