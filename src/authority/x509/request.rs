//! Certificate signing requests (PKCS #10): read with all that they request, and created for our own authorities.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::x509::extension::Extension;
use crate::x509::key::{KeyError, SigningAlgorithm, SigningKey};
use crate::x509::{der, name, oid, pem, verify};

/// A request whose signature is valid. The names and keys are the bytes that were signed.
#[derive(Debug, Clone)]
pub(crate) struct SigningRequest {
    /// The subject's Name.
    pub subject: Vec<u8>,
    /// The SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// The bits inside the public key, for the key identifier.
    pub public_key_bits: Vec<u8>,
    /// The extensions in the extensionRequest attribute, in the order of the request.
    pub extensions: Vec<Extension>,
}

/// Why a CSR is refused; AWS's error is MalformedCSR.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{0}")]
    Pem(&'static str),
    #[error("expected exactly one certificate request")]
    NotOne,
    #[error("it is not a PKCS #10 certificate request")]
    NotARequest,
    #[error("the public key is not of a supported algorithm and size")]
    Key,
    #[error("the signature does not match the public key")]
    Signature,
    #[error("the extension {0} is requested twice")]
    Twice(String),
}

/// The Name without attributes.
pub(crate) const EMPTY_NAME: [u8; 2] = [der::SEQUENCE, 0];

impl SigningRequest {
    /// Reads a PEM request and checks its signature.
    pub fn read(text: &[u8]) -> Result<Self, RequestError> {
        let labels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
        let blocks = pem::blocks(text, &labels).map_err(RequestError::Pem)?;
        let [bytes] = blocks.as_slice() else {
            return Err(RequestError::NotOne);
        };
        Self::read_der(bytes)
    }

    /// Reads a DER request and checks its signature.
    pub fn read_der(bytes: &[u8]) -> Result<Self, RequestError> {
        let (rest, request) =
            X509CertificationRequest::from_der(bytes).map_err(|_| RequestError::NotARequest)?;
        if !rest.is_empty() {
            return Err(RequestError::NotARequest);
        }
        let info = &request.certification_request_info;
        if info.version != X509Version::V1 {
            return Err(RequestError::NotARequest);
        }
        verify::kind(&info.subject_pki).ok_or(RequestError::Key)?;
        let signature = &request.signature_value.data;
        let algorithm = &request.signature_algorithm;
        if !verify::signed_by(&info.subject_pki, algorithm, info.raw, signature) {
            return Err(RequestError::Signature);
        }
        if !is_canonical(bytes, &request) {
            return Err(RequestError::NotARequest);
        }
        Ok(Self {
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            public_key_bits: info.subject_pki.subject_public_key.data.to_vec(),
            extensions: requested(&request)?,
        })
    }

    /// Returns the requested extension with an identifier.
    pub fn extension(&self, id: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.id == id)
    }
}

/// Returns whether the parts that the signature does not cover (the outer sequence, the algorithm, the bit string) are
/// canonical DER. The parser accepts other tag classes there.
fn is_canonical(bytes: &[u8], request: &X509CertificationRequest<'_>) -> bool {
    const NULL: [u8; 2] = [5, 0];
    let info = request.certification_request_info.raw;
    let signature = der::bits(&request.signature_value.data);
    let dotted = request.signature_algorithm.algorithm.to_id_string();
    let Some(object) = der::object(&dotted) else {
        return false;
    };
    let is = |algorithm: &[u8]| der::sequence([info, algorithm, &signature]) == bytes;
    if dotted == oid::RSA_PSS {
        // The parameters of the algorithm were checked with the signature.
        let end = bytes.len().saturating_sub(signature.len());
        let start = bytes.windows(info.len()).position(|window| window == info);
        let algorithm = start.and_then(|start| bytes.get(start + info.len()..end));
        return algorithm.is_some_and(|a| a.first() == Some(&der::SEQUENCE) && is(a));
    }
    is(&der::sequence([&object])) || is(&der::sequence([object.as_slice(), &NULL]))
}

fn requested(request: &X509CertificationRequest<'_>) -> Result<Vec<Extension>, RequestError> {
    let mut found: Vec<Extension> = Vec::new();
    for attribute in request.certification_request_info.iter_attributes() {
        if attribute.oid.to_id_string() != oid::EXTENSION_REQUEST {
            continue;
        }
        let ParsedCriAttribute::ExtensionRequest(wanted) = attribute.parsed_attribute() else {
            return Err(RequestError::NotARequest);
        };
        for extension in &wanted.extensions {
            let id = extension.oid.to_id_string();
            if der::object(&id).is_none() {
                return Err(RequestError::NotARequest);
            }
            if found.iter().any(|known| known.id == id) {
                return Err(RequestError::Twice(id));
            }
            found.push(Extension::new(
                &id,
                extension.critical,
                extension.value.to_vec(),
            ));
        }
    }
    Ok(found)
}

/// Creates the request of an authority for its own certificate.
pub(crate) fn make(
    key: &SigningKey,
    algorithm: SigningAlgorithm,
    subject: &[u8],
    extensions: &[Extension],
) -> Result<Vec<u8>, KeyError> {
    let wanted = der::sequence(extensions.iter().map(Extension::to_der));
    let attribute = der::sequence([
        name::object(oid::EXTENSION_REQUEST)
            .expect("the constants of oid.rs are object identifiers"),
        der::set(vec![wanted]),
    ]);
    let info = der::sequence([
        der::number(0),
        subject.to_vec(),
        key.public_key_info()?,
        der::context(0, &attribute),
    ]);
    let signature = key.sign(algorithm, &info)?;
    Ok(der::sequence([
        info,
        algorithm.identifier(),
        der::bits(&signature),
    ]))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::x509::extension;
    use crate::x509::key::KeyAlgorithm;
    use crate::x509::name::Subject;

    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let (key, _) = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        let subject = Subject {
            common_name: Some("fuzz".to_owned()),
            ..Subject::default()
        };
        let extensions = [extension::authority_constraints(None)];
        let name = subject.to_der().unwrap();
        make(&key, SigningAlgorithm::EcdsaSha512, &name, &extensions).unwrap()
    });

    #[test]
    fn a_created_request_can_be_read_again() {
        let read = SigningRequest::read_der(&WHOLE).unwrap();
        assert_eq!(read.extensions, [extension::authority_constraints(None)]);
    }

    proptest::proptest! {
        #[test]
        fn any_damage_is_refused(at in 0..200usize, flip in 1..=255u8, cut in 0..400usize) {
            let mut bytes = WHOLE.clone();
            if let Some(place) = bytes.get_mut(at) {
                *place ^= flip;
            }
            bytes.truncate(cut);
            proptest::prop_assume!(bytes != *WHOLE);
            proptest::prop_assert!(SigningRequest::read_der(&bytes).is_err());
        }
    }
}
