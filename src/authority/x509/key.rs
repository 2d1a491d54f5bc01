//! Key pairs and signatures by AWS's names, implemented with aws-lc-rs alone.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING,
    ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RsaKeyPair,
};
use zeroize::Zeroizing;

use crate::x509::{der, oid};

/// The `KeyAlgorithm` of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAlgorithm {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    MlDsa44,
    MlDsa65,
    MlDsa87,
    /// Only the name is supported: AWS offers the algorithm in China, and aws-lc-rs does not have it.
    Sm2,
}

/// The `SigningAlgorithm` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SigningAlgorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

/// A key could not be created, read or used.
#[derive(Debug, thiserror::Error)]
#[error("the key can't be {0}")]
pub(crate) struct KeyError(&'static str);

impl KeyAlgorithm {
    const NAMES: [(Self, &str); 10] = [
        (Self::Rsa2048, "RSA_2048"),
        (Self::Rsa3072, "RSA_3072"),
        (Self::Rsa4096, "RSA_4096"),
        (Self::P256, "EC_prime256v1"),
        (Self::P384, "EC_secp384r1"),
        (Self::P521, "EC_secp521r1"),
        (Self::MlDsa44, "ML_DSA_44"),
        (Self::MlDsa65, "ML_DSA_65"),
        (Self::MlDsa87, "ML_DSA_87"),
        (Self::Sm2, "SM2"),
    ];

    /// Returns the algorithm with AWS's name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(algorithm, _)| *algorithm)
    }

    /// Returns AWS's names of the algorithms with which keys of this kind can sign, in AWS's order.
    pub fn signing_algorithms(self) -> &'static [&'static str] {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                &["SHA256WITHRSA", "SHA384WITHRSA", "SHA512WITHRSA"]
            }
            Self::P256 | Self::P384 | Self::P521 => {
                &["SHA256WITHECDSA", "SHA384WITHECDSA", "SHA512WITHECDSA"]
            }
            Self::MlDsa44 => &["ML_DSA_44"],
            Self::MlDsa65 => &["ML_DSA_65"],
            Self::MlDsa87 => &["ML_DSA_87"],
            Self::Sm2 => &["SM3WITHSM2"],
        }
    }
}

impl SigningAlgorithm {
    /// Returns the algorithm with AWS's name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "SHA256WITHRSA" => Self::RsaSha256,
            "SHA384WITHRSA" => Self::RsaSha384,
            "SHA512WITHRSA" => Self::RsaSha512,
            "SHA256WITHECDSA" => Self::EcdsaSha256,
            "SHA384WITHECDSA" => Self::EcdsaSha384,
            "SHA512WITHECDSA" => Self::EcdsaSha512,
            "ML_DSA_44" => Self::MlDsa44,
            "ML_DSA_65" => Self::MlDsa65,
            "ML_DSA_87" => Self::MlDsa87,
            _ => return None,
        })
    }

    /// Returns the AlgorithmIdentifier. RSA has NULL as its parameters, the others have none.
    pub fn identifier(self) -> Vec<u8> {
        let (dotted, null) = match self {
            Self::RsaSha256 => (oid::RSA_SHA256, true),
            Self::RsaSha384 => (oid::RSA_SHA384, true),
            Self::RsaSha512 => (oid::RSA_SHA512, true),
            Self::EcdsaSha256 => (oid::ECDSA_SHA256, false),
            Self::EcdsaSha384 => (oid::ECDSA_SHA384, false),
            Self::EcdsaSha512 => (oid::ECDSA_SHA512, false),
            Self::MlDsa44 => (oid::ML_DSA_44, false),
            Self::MlDsa65 => (oid::ML_DSA_65, false),
            Self::MlDsa87 => (oid::ML_DSA_87, false),
        };
        let object = der::object(dotted).expect("the constants of oid.rs are object identifiers");
        let null = if null {
            der::element(5, &[])
        } else {
            Vec::new()
        };
        der::sequence([object, null])
    }

    fn digest(self, message: &[u8]) -> Digest {
        let algorithm = match self {
            Self::RsaSha384 | Self::EcdsaSha384 => &digest::SHA384,
            Self::RsaSha512 | Self::EcdsaSha512 => &digest::SHA512,
            _ => &digest::SHA256,
        };
        digest::digest(algorithm, message)
    }
}

/// A private key.
pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static digest::Algorithm),
    MlDsa(PqdsaKeyPair),
}

impl SigningKey {
    /// Generates a key and its PKCS #8 form, which is wiped from memory when dropped.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let failed = |_| KeyError("generated");
        let pkcs8 = if let Some(size) = rsa_size(algorithm) {
            let pair = RsaKeyPair::generate(size).map_err(failed)?;
            let document =
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair).map_err(failed)?;
            Zeroizing::new(document.as_ref().to_vec())
        } else if let Some((curve, _)) = curve(algorithm) {
            let pair = EcdsaKeyPair::generate(curve).map_err(failed)?;
            Zeroizing::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec())
        } else if let Some(set) = ml_dsa(algorithm) {
            let pair = PqdsaKeyPair::generate(set).map_err(failed)?;
            Zeroizing::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec())
        } else {
            return Err(KeyError("generated"));
        };
        Ok((Self::read(algorithm, &pkcs8)?, pkcs8))
    }

    /// Reads a key in PKCS #8 form.
    pub fn read(algorithm: KeyAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let failed = |_| KeyError("read");
        if rsa_size(algorithm).is_some() {
            RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rsa).map_err(failed)
        } else if let Some((curve, digest)) = curve(algorithm) {
            EcdsaKeyPair::from_pkcs8(curve, pkcs8)
                .map(|pair| Self::Ec(pair, digest))
                .map_err(failed)
        } else if let Some(set) = ml_dsa(algorithm) {
            PqdsaKeyPair::from_pkcs8(set, pkcs8)
                .map(Self::MlDsa)
                .map_err(failed)
        } else {
            Err(KeyError("read"))
        }
    }

    /// Returns the public key as SubjectPublicKeyInfo.
    pub fn public_key_info(&self) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError("shown");
        let info: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Self::Ec(pair, _) => pair.public_key().as_der().map_err(failed)?,
            Self::MlDsa(pair) => pair.public_key().as_der().map_err(failed)?,
        };
        Ok(info.as_ref().to_vec())
    }

    /// Signs a message. The algorithm must fit the key.
    pub fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let padding = match algorithm {
                    SigningAlgorithm::RsaSha256 => &RSA_PKCS1_SHA256,
                    SigningAlgorithm::RsaSha384 => &RSA_PKCS1_SHA384,
                    SigningAlgorithm::RsaSha512 => &RSA_PKCS1_SHA512,
                    _ => return Err(KeyError("used with this algorithm")),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(|_| KeyError("used"))?;
                Ok(signature)
            }
            Self::Ec(pair, native) => {
                let digest = fitted(algorithm.digest(message), native)?;
                let signature = pair.sign_digest(&digest).map_err(|_| KeyError("used"))?;
                Ok(signature.as_ref().to_vec())
            }
            Self::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair
                    .sign(message, &mut signature)
                    .map_err(|_| KeyError("used"))?;
                signature.truncate(length);
                Ok(signature)
            }
        }
    }
}

/// Converts a digest to the length with which aws-lc-rs signs on a curve.
///
/// ECDSA uses the leftmost bits of a long digest, and a short digest as a number. So a longer digest can be cut, and zeros
/// can be put before a shorter one, without changing the signature (FIPS 186-5, 6.4.1).
fn fitted(digest: Digest, native: &'static digest::Algorithm) -> Result<Digest, KeyError> {
    let bytes = digest.as_ref();
    let wanted = native.output_len();
    let mut fitted = vec![0; wanted.saturating_sub(bytes.len())];
    fitted.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
    Digest::import_less_safe(&fitted, native).map_err(|_| KeyError("used"))
}

fn rsa_size(algorithm: KeyAlgorithm) -> Option<KeySize> {
    match algorithm {
        KeyAlgorithm::Rsa2048 => Some(KeySize::Rsa2048),
        KeyAlgorithm::Rsa3072 => Some(KeySize::Rsa3072),
        KeyAlgorithm::Rsa4096 => Some(KeySize::Rsa4096),
        _ => None,
    }
}

fn curve(
    algorithm: KeyAlgorithm,
) -> Option<(&'static EcdsaSigningAlgorithm, &'static digest::Algorithm)> {
    match algorithm {
        KeyAlgorithm::P256 => Some((&ECDSA_P256_SHA256_ASN1_SIGNING, &digest::SHA256)),
        KeyAlgorithm::P384 => Some((&ECDSA_P384_SHA384_ASN1_SIGNING, &digest::SHA384)),
        KeyAlgorithm::P521 => Some((&ECDSA_P521_SHA512_ASN1_SIGNING, &digest::SHA512)),
        _ => None,
    }
}

fn ml_dsa(algorithm: KeyAlgorithm) -> Option<&'static PqdsaSigningAlgorithm> {
    match algorithm {
        KeyAlgorithm::MlDsa44 => Some(&ML_DSA_44_SIGNING),
        KeyAlgorithm::MlDsa65 => Some(&ML_DSA_65_SIGNING),
        KeyAlgorithm::MlDsa87 => Some(&ML_DSA_87_SIGNING),
        _ => None,
    }
}
