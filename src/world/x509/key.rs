use rcgen::{KeyPair, RsaKeySize};

use super::private_key::KeyError;
use crate::value::Secret;

/// The algorithms of keys that can be generated here, by AWS Private CA's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcPrime256v1,
    EcSecp384r1,
    EcSecp521r1,
}

impl KeyAlgorithm {
    pub const NAMES: [&str; 6] = [
        "RSA_2048",
        "RSA_3072",
        "RSA_4096",
        "EC_prime256v1",
        "EC_secp384r1",
        "EC_secp521r1",
    ];

    pub fn parse(name: &str) -> Result<Self, KeyError> {
        Ok(match name {
            "RSA_2048" => Self::Rsa2048,
            "RSA_3072" => Self::Rsa3072,
            "RSA_4096" => Self::Rsa4096,
            "EC_prime256v1" => Self::EcPrime256v1,
            "EC_secp384r1" => Self::EcSecp384r1,
            "EC_secp521r1" => Self::EcSecp521r1,
            _ => return Err(KeyError::Unknown { name: name.into() }),
        })
    }

    /// Returns the AWS Private CA signing algorithm that a CA with such a key uses by default.
    pub fn signing_algorithm(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => "SHA256WITHRSA",
            Self::EcPrime256v1 => "SHA256WITHECDSA",
            Self::EcSecp384r1 => "SHA384WITHECDSA",
            Self::EcSecp521r1 => "SHA512WITHECDSA",
        }
    }

    /// Generates a private key, PKCS #8 in PEM. An RSA key takes tens of milliseconds and more.
    pub fn generate(self) -> Result<Secret, KeyError> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match self {
            Self::Rsa2048 => rsa(RsaKeySize::_2048),
            Self::Rsa3072 => rsa(RsaKeySize::_3072),
            Self::Rsa4096 => rsa(RsaKeySize::_4096),
            Self::EcPrime256v1 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::EcSecp384r1 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::EcSecp521r1 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        };
        Ok(Secret::new(
            pair.map_err(KeyError::Generate)?.serialize_pem(),
        ))
    }
}
