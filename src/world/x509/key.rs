use rcgen::{KeyPair, RsaKeySize};
use strum::{EnumString, VariantNames};

use super::private_key::KeyError;
use crate::value::Secret;

/// The algorithms of keys that can be generated here, by AWS Private CA's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
pub enum KeyAlgorithm {
    #[strum(serialize = "RSA_2048")]
    Rsa2048,
    #[strum(serialize = "RSA_3072")]
    Rsa3072,
    #[strum(serialize = "RSA_4096")]
    Rsa4096,
    #[strum(serialize = "EC_prime256v1")]
    EcPrime256v1,
    #[strum(serialize = "EC_secp384r1")]
    EcSecp384r1,
    #[strum(serialize = "EC_secp521r1")]
    EcSecp521r1,
}

impl KeyAlgorithm {
    /// AWS's names of all algorithms.
    pub const NAMES: &[&str] = Self::VARIANTS;

    pub fn parse(name: &str) -> Result<Self, KeyError> {
        name.parse()
            .map_err(|_| KeyError::Unknown { name: name.into() })
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
