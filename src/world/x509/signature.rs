use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use x509_parser::{parse_x509_certificate, pem::Pem};

use crate::value::Digest;

/// The reason why a key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("it is not a PEM file")]
    NotPem,
    #[error("it holds `{0}`, which is not a private key")]
    NotPrivate(String),
    #[error("it holds `{0}`, which is neither a public key nor a certificate")]
    NotPublic(String),
    #[error("it is a private key, but not for P-256, Ed25519 or RSA of 2048 to 8192 bits")]
    Unsupported,
    #[error(
        "it is encrypted, or in the format of OpenSSH; `openssl genpkey -algorithm ed25519 -out FILE` makes one that signs"
    )]
    OtherFormat,
    #[error("the key could not sign")]
    Broken,
}

/// A signature of a text, with the key that verifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    algorithm: Algorithm,
    /// A SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` prints it.
    public_key: String,
    /// Base64; for ECDSA, of the DER.
    signature: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Algorithm {
    #[serde(rename = "ecdsa-p256-sha256")]
    Ecdsa,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "rsa-pkcs1-sha256")]
    Rsa,
}

/// Signs content with a private key in PEM (PKCS#8, or OpenSSL's older formats).
///
/// # Errors
/// A text that is not such a key.
pub fn sign(pem: &str, content: &[u8]) -> Result<Signature, SignError> {
    let pem = blocks(pem)?
        .into_iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or_else(|| SignError::NotPrivate(labels(pem)))?;
    if ["OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"].contains(&pem.label.as_str()) {
        return Err(SignError::OtherFormat);
    }
    let (der, broken) = (pem.contents.as_slice(), |_| SignError::Broken);
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let ecdsa = EcdsaKeyPair::from_pkcs8(algorithm, der)
        .or_else(|_| EcdsaKeyPair::from_private_key_der(algorithm, der));
    if let Ok(key) = ecdsa {
        let signed = key.sign(&SystemRandom::new(), content).map_err(broken)?;
        let public = key.public_key().as_der().map_err(broken)?;
        return Ok(Signature::new(
            Algorithm::Ecdsa,
            public.as_ref(),
            signed.as_ref(),
        ));
    }
    if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        let public = key.public_key().as_der().map_err(broken)?;
        let signed = key.sign(content);
        return Ok(Signature::new(
            Algorithm::Ed25519,
            public.as_ref(),
            signed.as_ref(),
        ));
    }
    let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
    let key = rsa.map_err(|_| SignError::Unsupported)?;
    let mut signed = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        content,
        &mut signed,
    )
    .map_err(broken)?;
    let public = key.public_key().as_der().map_err(broken)?;
    Ok(Signature::new(Algorithm::Rsa, public.as_ref(), &signed))
}

/// Returns the SubjectPublicKeyInfo of a public key or a certificate in PEM.
///
/// # Errors
/// A text that is neither.
pub fn public_key(pem: &str) -> Result<Vec<u8>, SignError> {
    let unknown = || SignError::NotPublic(labels(pem));
    let found = blocks(pem)?
        .into_iter()
        .find_map(|block| match block.label.as_str() {
            "PUBLIC KEY" => Some(block.contents),
            "CERTIFICATE" => {
                let (_, certificate) = parse_x509_certificate(&block.contents).ok()?;
                Some(certificate.public_key().raw.to_vec())
            }
            _ => None,
        });
    found.ok_or_else(unknown)
}

impl Signature {
    fn new(algorithm: Algorithm, public_key: &[u8], signature: &[u8]) -> Self {
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        let text = BASE64.encode(public_key);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        Self {
            algorithm,
            public_key: pem,
            signature: BASE64.encode(signature),
        }
    }

    /// Says whether it is the signature of this content by its own key.
    pub fn holds(&self, content: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            Algorithm::Ecdsa => &ECDSA_P256_SHA256_ASN1,
            Algorithm::Ed25519 => &ED25519,
            Algorithm::Rsa => &RSA_PKCS1_2048_8192_SHA256,
        };
        let (Ok(key), Ok(signature)) = (
            public_key(&self.public_key),
            BASE64.decode(self.signature.as_bytes()),
        ) else {
            return false;
        };
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(content, &signature).is_ok()
    }

    /// Says whether its key is this one (a SubjectPublicKeyInfo).
    pub fn is_by(&self, key: &[u8]) -> bool {
        public_key(&self.public_key).is_ok_and(|own| own == key)
    }

    /// Returns the SHA-256 of its key, which identifies the signer.
    pub fn signer(&self) -> String {
        public_key(&self.public_key).map_or_else(
            |_| "an unreadable key".into(),
            |key| format!("sha256 {}", Digest::of_content(&key)),
        )
    }
}

fn blocks(pem: &str) -> Result<Vec<Pem>, SignError> {
    let blocks: Vec<_> = Pem::iter_from_buffer(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| SignError::NotPem)?;
    if blocks.is_empty() {
        Err(SignError::NotPem)
    } else {
        Ok(blocks)
    }
}

fn labels(pem: &str) -> String {
    let blocks = blocks(pem).unwrap_or_default();
    let labels: Vec<_> = blocks.iter().map(|block| block.label.as_str()).collect();
    labels.join(", ")
}
