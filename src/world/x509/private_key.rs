//! Reads private keys from files: PKCS #8, PKCS #1, SEC 1, with or without a passphrase, and with other text around
//! them.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    },
};
use pkcs8::{
    EncryptedPrivateKeyInfo,
    pkcs5::{EncryptionScheme, pbes2::Kdf},
};
use rcgen::KeyPair;
use zeroize::Zeroizing;

use super::{
    key::KeyAlgorithm,
    pem::{self, Block, PemError},
};
use crate::value::Secret;

/// A private key: the DER of PKCS #8.
pub struct PrivateKey(Zeroizing<Vec<u8>>);

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("`{name}` is not a key algorithm (one of {})", KeyAlgorithm::NAMES.join(", "))]
    Unknown { name: String },
    #[error("the key could not be generated")]
    Generate(#[source] rcgen::Error),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("the text holds {count} private keys (blocks {blocks}), and one is wanted")]
    Several { count: usize, blocks: String },
    #[error("the key in block {number} ({label}) is encrypted, and no passphrase is given")]
    Encrypted { number: usize, label: String },
    #[error("the key in block {number} is not encrypted with this passphrase")]
    WrongPassphrase { number: usize },
    #[error("the key in block {number} ({label}) {why}")]
    Unusable {
        number: usize,
        label: String,
        why: &'static str,
    },
}

impl KeyError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Encrypted { label, .. } if label == ENCRYPTED => Some(
                "open it first: `key::read(text, passphrase)` gives a key without a passphrase, as a secret",
            ),
            Self::Unusable { label, .. } if label == OPENSSH => {
                Some("`ssh-keygen -p -m PKCS8 -f FILE` rewrites the file as PKCS #8")
            }
            Self::Unusable { why: UNUSABLE, .. } => None,
            Self::Encrypted { .. } | Self::Unusable { .. } => Some(
                "`openssl pkcs8 -topk8 -in FILE` rewrites a key as PKCS #8 under a passphrase, with `-nocrypt` without one",
            ),
            _ => None,
        }
    }
}

const PKCS8: &str = "PRIVATE KEY";
const PKCS1: &str = "RSA PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const OPENSSH: &str = "OPENSSH PRIVATE KEY";

/// More than any tool uses; a file must not block a thread for hours, or use up the memory.
const MOST_ITERATIONS: u32 = 20_000_000;
const MOST_SCRYPT_BYTES: u64 = 1 << 30;

const UNUSABLE: &str = "is damaged, or not one that can be used here (RSA from 2048 bits, EC P-256, P-384, P-521, Ed25519)";

impl PrivateKey {
    /// Reads the only private key of a PEM text. Skips certificates and `EC PARAMETERS` beside it.
    ///
    /// # Errors
    /// What was found instead of a usable key; a damaged block; a missing or wrong passphrase.
    pub fn read(text: &[u8], passphrase: Option<&Secret>) -> Result<Self, KeyError> {
        let blocks = pem::blocks(text)?;
        let keys: Vec<_> = blocks
            .iter()
            .filter(|block| block.label.ends_with("PRIVATE KEY"))
            .collect();
        match keys.as_slice() {
            [] => Err(pem::missing("private key", &blocks).into()),
            [key] => Self::from_block(key, passphrase),
            several => Err(KeyError::Several {
                count: several.len(),
                blocks: several
                    .iter()
                    .map(|block| block.number.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Returns it as PKCS #8 in PEM, without a passphrase.
    pub fn to_pem(&self) -> Secret {
        Secret::new(pem::encode(PKCS8, &self.0))
    }

    /// Returns it as PKCS #8, without a passphrase.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Returns it in the form that signing needs.
    pub(super) fn pair(&self) -> Result<KeyPair, KeyError> {
        KeyPair::try_from(self.0.as_slice()).map_err(|_| KeyError::Unusable {
            number: 1,
            label: PKCS8.into(),
            why: UNUSABLE,
        })
    }

    fn from_block(block: &Block, passphrase: Option<&Secret>) -> Result<Self, KeyError> {
        let unusable = |why| KeyError::Unusable {
            number: block.number,
            label: block.label.clone(),
            why,
        };
        if !block.headers.is_empty() {
            return Err(match passphrase {
                None => KeyError::Encrypted {
                    number: block.number,
                    label: block.label.clone(),
                },
                Some(_) => unusable(
                    "is encrypted in OpenSSL's old way (`Proc-Type`), which is not read here",
                ),
            });
        }
        let der = match block.label.as_str() {
            PKCS8 => Some(block.content.clone()),
            PKCS1 => rsa_to_pkcs8(&block.content),
            SEC1 => ec_to_pkcs8(&block.content),
            ENCRYPTED => Some(decrypt(block, passphrase)?),
            OPENSSH => {
                return Err(unusable(
                    "is in OpenSSH's own format, which is not read here",
                ));
            }
            _ => return Err(unusable("is of a kind that can't be used here")),
        };
        let key = Self(Zeroizing::new(der.ok_or_else(|| unusable(UNUSABLE))?));
        key.pair().map_err(|_| unusable(UNUSABLE))?;
        Ok(key)
    }
}

fn rsa_to_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let pair = rsa::KeyPair::from_der(der).ok()?;
    let pkcs8: Pkcs8V1Der = pair.as_der().ok()?;
    Some(pkcs8.as_ref().to_vec())
}

fn ec_to_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let curves = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ];
    let pair = curves
        .into_iter()
        .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())?;
    Some(pair.to_pkcs8v1().ok()?.as_ref().to_vec())
}

fn decrypt(block: &Block, passphrase: Option<&Secret>) -> Result<Vec<u8>, KeyError> {
    let number = block.number;
    let unusable = |why| KeyError::Unusable {
        number,
        label: block.label.clone(),
        why,
    };
    let encrypted = EncryptedPrivateKeyInfo::try_from(block.content.as_slice()).map_err(|_| {
        unusable(
            "is damaged, or encrypted in a way that is not read here (PBES2 with AES or 3DES is)",
        )
    })?;
    let is_affordable = match &encrypted.encryption_algorithm {
        EncryptionScheme::Pbes2(parameters) => match &parameters.kdf {
            Kdf::Pbkdf2(kdf) => kdf.iteration_count <= MOST_ITERATIONS,
            Kdf::Scrypt(kdf) => {
                let bytes = kdf
                    .cost_parameter
                    .saturating_mul(u64::from(kdf.block_size))
                    .saturating_mul(128);
                bytes <= MOST_SCRYPT_BYTES && kdf.parallelization <= 16
            }
            _ => false,
        },
        _ => {
            return Err(unusable(
                "is encrypted in an old way (PBES1), which is not read here",
            ));
        }
    };
    if !is_affordable {
        return Err(unusable(
            "asks for more work to be opened than any tool does",
        ));
    }
    let passphrase = passphrase.ok_or(KeyError::Encrypted {
        number,
        label: block.label.clone(),
    })?;
    let opened = encrypted.decrypt(passphrase.reveal_bytes());
    match opened {
        Ok(document) => Ok(document.as_bytes().to_vec()),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm {
            ..
        })) => Err(unusable(
            "is encrypted with an algorithm that is not read here",
        )),
        // The padding is wrong, or the result is not a key.
        Err(_) => Err(KeyError::WrongPassphrase { number }),
    }
}
