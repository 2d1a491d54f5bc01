//! Reads and issues certificates, as the components of a mesh do.

use std::time::{Duration, SystemTime};

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use rustls::{
    SignatureScheme,
    crypto::aws_lc_rs as aws_lc_rs_provider,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{
        CertificateDer, PrivateKeyDer, SignatureVerificationAlgorithm, pem::PemObject as _,
    },
    sign::SigningKey,
};
use x509_cert::{
    certificate::{CertificateInner, TbsCertificate, Version},
    der::{
        Decode as _, Encode as _,
        asn1::{Any, BitString, Ia5String, Null, ObjectIdentifier, OctetString},
    },
    ext::{
        AsExtension, Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
            SubjectAltName, SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

use windlass_cluster::Moment;
use windlass_ground::random_bytes;

/// A parsed certificate.
pub(super) type Certificate = CertificateInner;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const ANY_USE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// How long before its issue a certificate begins, in milliseconds, since clocks differ: two minutes in istiod (istio:
/// `security/pkg/pki/util/generate_cert.go`).
const EARLY: Moment = 120_000;

/// Returns the certificates of a PEM text in order.
///
/// # Errors
/// The mistake in a text that is not PEM, in Go's words if they are known.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("failed to parse certificate PEM: {error}"))
}

/// Returns the certificates of a PEM text that can be parsed.
pub(super) fn parsed(pem: &str) -> Vec<Certificate> {
    let all = certificates(pem).unwrap_or_default();
    all.iter().filter_map(|der| parse(der).ok()).collect()
}

pub(super) fn parse(der: &[u8]) -> Result<Certificate, String> {
    Certificate::from_der(der).map_err(|error| format!("x509: malformed certificate: {error}"))
}

pub(super) fn to_pem(der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// Splits a PEM text into one text for each certificate.
pub(super) fn blocks(pem: &str) -> Vec<String> {
    let all = certificates(pem).unwrap_or_default();
    all.iter().map(|der| to_pem(der)).collect()
}

/// Returns a private key in any format that Istio reads: PKCS#8, `RSA PRIVATE KEY`, `EC PRIVATE KEY`.
pub(super) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "failed to parse the private key PEM".to_owned())
}

/// Creates a P-256 key in PKCS#8 PEM. Proxies and agents create RSA keys by default, which would take a second each.
pub(super) fn new_key() -> Result<String, String> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
    let der = key.and_then(|key| key.to_pkcs8v1());
    let der = der.map_err(|_| "can't create a key".to_owned())?;
    let text = data_encoding::BASE64.encode(der.as_ref());
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    Ok(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    ))
}

/// The contents of a certificate to issue.
pub(super) struct Request<'a> {
    /// The key in PEM.
    pub key: &'a str,
    /// `None` for a workload: its name is in the SAN, which is then critical.
    pub common_name: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub dns_names: &'a [String],
    pub uris: &'a [String],
    pub is_ca: bool,
    /// How many CAs may be between it and a leaf; `None` for no limit.
    pub path_len: Option<u8>,
    pub not_after: Moment,
}

/// Issues a certificate in PEM. `issuer` is the CA's certificate and key in PEM, or `None` for a self-signed certificate.
pub(super) fn issue(
    request: &Request,
    issuer: Option<(&str, &str)>,
    now: Moment,
) -> Result<String, String> {
    let failed = |error: x509_cert::der::Error| format!("can't issue a certificate: {error}");
    let own = signing_key(request.key)?;
    let spki = own.public_key().ok_or("the key has no public half")?;
    let spki = SubjectPublicKeyInfoOwned::from_der(spki.as_ref()).map_err(failed)?;
    let subject = subject(request).map_err(failed)?;
    let (issuer_name, issuer_id, signer) = match issuer {
        None => (subject.clone(), None, own),
        Some((certificate, key)) => {
            let first = parsed(certificate).into_iter().next();
            let first = first.ok_or("the issuer has no certificate")?;
            let id = extension::<SubjectKeyIdentifier>(&first);
            (first.tbs_certificate.subject, id, signing_key(key)?)
        }
    };
    let offered = [
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ECDSA_NISTP521_SHA512,
        SignatureScheme::RSA_PKCS1_SHA256,
    ];
    let signer = signer
        .choose_scheme(&offered)
        .ok_or("the issuer's key can't sign")?;
    let algorithm = algorithm(signer.scheme());
    let mut serial = [0; 16];
    random_bytes(&mut serial).map_err(|e| e.to_string())?;
    serial[0] = serial[0] & 0x7f | 1;
    let tbs = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).map_err(failed)?,
        signature: algorithm.clone(),
        issuer: issuer_name,
        validity: Validity {
            not_before: time(now - EARLY)?,
            not_after: time(request.not_after)?,
        },
        extensions: Some(
            extensions(request, &subject, &spki, issuer_id.map(|id| id.0)).map_err(failed)?,
        ),
        subject,
        subject_public_key_info: spki,
        issuer_unique_id: None,
        subject_unique_id: None,
    };
    let message = tbs.to_der().map_err(failed)?;
    let signature = signer
        .sign(&message)
        .map_err(|error| format!("can't sign a certificate: {error}"))?;
    let certificate = CertificateInner {
        tbs_certificate: tbs,
        signature_algorithm: algorithm,
        signature: BitString::from_bytes(&signature).map_err(failed)?,
    };
    Ok(to_pem(&certificate.to_der().map_err(failed)?))
}

fn signing_key(pem: &str) -> Result<std::sync::Arc<dyn SigningKey>, String> {
    any_supported_type(&private_key(pem)?)
        .map_err(|_| "the private key is of an unsupported type".to_owned())
}

/// Returns whether a key belongs to a certificate.
pub(super) fn fits(certificate: &Certificate, key: &str) -> bool {
    let Ok(key) = signing_key(key) else {
        return false;
    };
    let spki = certificate.tbs_certificate.subject_public_key_info.to_der();
    match (key.public_key(), spki) {
        (Some(own), Ok(its)) => own.as_ref() == its,
        _ => false,
    }
}

fn algorithm(scheme: SignatureScheme) -> AlgorithmIdentifierOwned {
    let (oid, parameters) = match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => (ECDSA_SHA256, None),
        SignatureScheme::ECDSA_NISTP384_SHA384 => (ECDSA_SHA384, None),
        SignatureScheme::ECDSA_NISTP521_SHA512 => (ECDSA_SHA512, None),
        _ => (RSA_SHA256, Some(Any::from(Null))),
    };
    AlgorithmIdentifierOwned { oid, parameters }
}

fn subject(request: &Request) -> Result<Name, x509_cert::der::Error> {
    let quoted = |text: &str| text.replace([',', '+', '"', '\\', '<', '>', ';', '='], " ");
    let parts = [
        request
            .common_name
            .map(|name| format!("CN={}", quoted(name))),
        request
            .organization
            .map(|name| format!("O={}", quoted(name))),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        Ok(Name::default())
    } else {
        parts.join(",").parse()
    }
}

fn extensions(
    request: &Request,
    subject: &Name,
    spki: &SubjectPublicKeyInfoOwned,
    issuer: Option<OctetString>,
) -> Result<Vec<Extension>, x509_cert::der::Error> {
    let mut all = Vec::new();
    let mut add = |extension: Result<Extension, _>, critical: bool| {
        extension.map(|mut extension| {
            extension.critical = critical;
            all.push(extension);
        })
    };
    let usages = if request.is_ca {
        KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)
    } else {
        KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment)
    };
    add(usages.to_extension(subject, &[]), true)?;
    let constraints = BasicConstraints {
        ca: request.is_ca,
        path_len_constraint: request.path_len,
    };
    add(constraints.to_extension(subject, &[]), true)?;
    if !request.is_ca {
        let uses = ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH]);
        add(uses.to_extension(subject, &[]), false)?;
    }
    let key = spki.subject_public_key.raw_bytes();
    let digest = digest::digest(&digest::SHA256, key);
    let id = SubjectKeyIdentifier(OctetString::new(&digest.as_ref()[..20])?);
    add(id.to_extension(subject, &[]), false)?;
    if issuer.is_some() {
        let id = AuthorityKeyIdentifier {
            key_identifier: issuer,
            ..AuthorityKeyIdentifier::default()
        };
        add(id.to_extension(subject, &[]), false)?;
    }
    let mut names = Vec::new();
    for name in request.dns_names {
        names.push(GeneralName::DnsName(Ia5String::new(name)?));
    }
    for uri in request.uris {
        names.push(GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?));
    }
    if !names.is_empty() {
        let names = SubjectAltName(names);
        add(names.to_extension(subject, &[]), subject.is_empty())?;
    }
    Ok(all)
}

fn time(at: Moment) -> Result<Time, String> {
    let seconds = u64::try_from(at / 1000).map_err(|_| "a time before 1970")?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    Time::try_from(at).map_err(|error| format!("not a time of a certificate: {error}"))
}

fn extension<'a, T>(certificate: &'a Certificate) -> Option<T>
where
    T: x509_cert::der::Decode<'a> + x509_cert::der::oid::AssociatedOid,
{
    let found = certificate.tbs_certificate.get::<T>();
    found.ok().flatten().map(|(_, value)| value)
}

/// Returns when a certificate ends, in milliseconds since 1970.
pub(super) fn not_after(certificate: &Certificate) -> Moment {
    moment(certificate.tbs_certificate.validity.not_after)
}

pub(super) fn not_before(certificate: &Certificate) -> Moment {
    moment(certificate.tbs_certificate.validity.not_before)
}

fn moment(time: Time) -> Moment {
    Moment::try_from(time.to_unix_duration().as_millis()).unwrap_or(Moment::MAX)
}

/// Returns the CA flag, and the path length if it is limited.
pub(super) fn basic_constraints(certificate: &Certificate) -> Option<BasicConstraints> {
    extension(certificate)
}

/// Returns whether the extended key usage, if there is one, allows server authentication.
pub(super) fn may_serve(certificate: &Certificate) -> bool {
    let uses: Option<ExtendedKeyUsage> = extension(certificate);
    uses.is_none_or(|uses| uses.0.contains(&SERVER_AUTH) || uses.0.contains(&ANY_USE))
}

/// Returns the DNS names and URIs of the subject alternative name.
pub(super) fn names(certificate: &Certificate) -> Vec<String> {
    let names: Option<SubjectAltName> = extension(certificate);
    let names = names.map_or_else(Vec::new, |names| names.0);
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    };
    names.iter().filter_map(text).collect()
}

/// Returns the issuer of a certificate: the name and, if present, the key identifier.
pub(super) fn origin(certificate: &Certificate) -> (String, Option<Vec<u8>>) {
    let id: Option<AuthorityKeyIdentifier> = extension(certificate);
    let id = id.and_then(|id| id.key_identifier);
    (
        certificate.tbs_certificate.issuer.to_string(),
        id.map(|id| id.as_bytes().to_vec()),
    )
}

/// Returns the common name, or the whole name if there is none.
pub(super) fn short_name(name: &Name) -> String {
    let text = name.to_string();
    let common = text
        .split([',', '+'])
        .find_map(|part| part.trim().strip_prefix("CN="));
    common.unwrap_or(&text).to_owned()
}

/// Returns the serial number in lower-case hexadecimal, as Go and OpenSSL print it in JSON.
pub(super) fn serial(certificate: &Certificate) -> String {
    data_encoding::HEXLOWER.encode(certificate.tbs_certificate.serial_number.as_bytes())
}

/// Returns the serial number in decimal, as ztunnel prints it.
pub(super) fn decimal_serial(certificate: &Certificate) -> String {
    let mut digits = vec![0_u8];
    for byte in certificate.tbs_certificate.serial_number.as_bytes() {
        let mut carry = u32::from(*byte);
        for digit in digits.iter_mut().rev() {
            carry += u32::from(*digit) * 256;
            *digit = (carry % 10) as u8;
            carry /= 10;
        }
        while carry > 0 {
            digits.insert(0, (carry % 10) as u8);
            carry /= 10;
        }
    }
    digits
        .iter()
        .map(|digit| char::from(b'0' + digit))
        .collect()
}

/// Returns the SHA-256 of a text in hexadecimal, to compare material.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Returns whether a certificate's key has signed another certificate.
pub(super) fn has_signed(issuer: &Certificate, signed: &[u8]) -> bool {
    let Ok(certificate) = parse(signed) else {
        return false;
    };
    let spki = &issuer.tbs_certificate.subject_public_key_info;
    let (Ok(message), Ok(own), Ok(used)) = (
        certificate.tbs_certificate.to_der(),
        content(&spki.algorithm),
        content(&certificate.signature_algorithm),
    ) else {
        return false;
    };
    let algorithms = aws_lc_rs_provider::default_provider().signature_verification_algorithms;
    let fits = |one: &&&dyn SignatureVerificationAlgorithm| {
        one.public_key_alg_id().as_ref() == own && one.signature_alg_id().as_ref() == used
    };
    let verifies = |one: &&dyn SignatureVerificationAlgorithm| {
        let signature = certificate.signature.raw_bytes();
        one.verify_signature(spki.subject_public_key.raw_bytes(), &message, signature)
            .is_ok()
    };
    algorithms.all.iter().filter(fits).any(verifies)
}

/// Returns an algorithm's DER without its outer header, the form in which verifiers name it.
fn content(algorithm: &AlgorithmIdentifierOwned) -> Result<Vec<u8>, x509_cert::der::Error> {
    let mut content = algorithm.oid.to_der()?;
    if let Some(parameters) = &algorithm.parameters {
        content.extend(parameters.to_der()?);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issued_certificate_can_be_read_and_verified() {
        let now = 1_800_000_000_000;
        let (ca_key, key) = (new_key().unwrap(), new_key().unwrap());
        let mut request = Request {
            key: &ca_key,
            common_name: Some("A"),
            organization: None,
            dns_names: &[],
            uris: &[],
            is_ca: true,
            path_len: Some(1),
            not_after: now + 1_000_000,
        };
        let ca = issue(&request, None, now).unwrap();
        request.key = &key;
        request.common_name = None;
        request.is_ca = false;
        request.path_len = None;
        let uris = ["spiffe://cluster.local/ns/a/sa/b".to_owned()];
        request.uris = &uris;
        let leaf = issue(&request, Some((&ca, &ca_key)), now).unwrap();
        let (ca, read) = (parsed(&ca).remove(0), parsed(&leaf).remove(0));
        assert_eq!(names(&read), uris);
        assert_eq!(short_name(&read.tbs_certificate.issuer), "A");
        assert!(has_signed(&ca, &certificates(&leaf).unwrap()[0]));
        assert!(!has_signed(&read, &certificates(&leaf).unwrap()[0]));
        assert!(fits(&read, &key) && !fits(&read, &ca_key));
        assert_eq!(basic_constraints(&ca).unwrap().path_len_constraint, Some(1));
        assert_eq!(not_after(&read), now + 1_000_000);
        assert_eq!(
            decimal_serial(&read),
            u128::from_str_radix(&serial(&read), 16)
                .unwrap()
                .to_string()
        );
        assert_eq!(blocks(&[leaf.as_str(), leaf.as_str()].concat()).len(), 2);
    }
}
