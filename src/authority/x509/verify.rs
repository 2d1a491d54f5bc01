//! Checks the signatures of requests and certificates from any issuer.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ML_DSA_44, ML_DSA_65, ML_DSA_87, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::x509::oid;

/// The key sizes whose signatures aws-lc-rs can check. Shorter keys are weak, and longer ones slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The kinds of public keys that can be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKeyKind {
    Rsa,
    P256,
    P384,
    P521,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

/// Returns the kind of a public key, or `None` if it is not supported, so that no weak key is certified by accident.
pub(crate) fn kind(info: &SubjectPublicKeyInfo<'_>) -> Option<PublicKeyKind> {
    match info.algorithm.algorithm.to_id_string().as_str() {
        oid::RSA => match info.parsed() {
            Ok(PublicKey::RSA(key)) if RSA_BITS.contains(&key.key_size()) => {
                Some(PublicKeyKind::Rsa)
            }
            _ => None,
        },
        oid::ML_DSA_44 => Some(PublicKeyKind::MlDsa44),
        oid::ML_DSA_65 => Some(PublicKeyKind::MlDsa65),
        oid::ML_DSA_87 => Some(PublicKeyKind::MlDsa87),
        oid::EC => {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
            match curve.to_id_string().as_str() {
                oid::P256 => Some(PublicKeyKind::P256),
                oid::P384 => Some(PublicKeyKind::P384),
                oid::P521 => Some(PublicKeyKind::P521),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Returns whether the private key of `info` made this signature of the message.
pub(crate) fn signed_by(
    info: &SubjectPublicKeyInfo<'_>,
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some(verification) = kind(info).and_then(|kind| verification(kind, algorithm)) else {
        return false;
    };
    UnparsedPublicKey::new(verification, info.raw)
        .verify(message, signature)
        .is_ok()
}

fn verification(
    kind: PublicKeyKind,
    algorithm: &AlgorithmIdentifier<'_>,
) -> Option<&'static dyn VerificationAlgorithm> {
    use PublicKeyKind::{MlDsa44, MlDsa65, MlDsa87, P256, P384, P521, Rsa};
    let dotted = algorithm.algorithm.to_id_string();
    Some(match (kind, dotted.as_str()) {
        (Rsa, oid::RSA_SHA256) => &RSA_PKCS1_2048_8192_SHA256,
        (Rsa, oid::RSA_SHA384) => &RSA_PKCS1_2048_8192_SHA384,
        (Rsa, oid::RSA_SHA512) => &RSA_PKCS1_2048_8192_SHA512,
        (Rsa, oid::RSA_PSS) => return pss(algorithm),
        (P256, oid::ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
        (P256, oid::ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
        (P256, oid::ECDSA_SHA512) => &ECDSA_P256_SHA512_ASN1,
        (P384, oid::ECDSA_SHA256) => &ECDSA_P384_SHA256_ASN1,
        (P384, oid::ECDSA_SHA384) => &ECDSA_P384_SHA384_ASN1,
        (P384, oid::ECDSA_SHA512) => &ECDSA_P384_SHA512_ASN1,
        (P521, oid::ECDSA_SHA256) => &ECDSA_P521_SHA256_ASN1,
        (P521, oid::ECDSA_SHA384) => &ECDSA_P521_SHA384_ASN1,
        (P521, oid::ECDSA_SHA512) => &ECDSA_P521_SHA512_ASN1,
        (MlDsa44, oid::ML_DSA_44) => &ML_DSA_44,
        (MlDsa65, oid::ML_DSA_65) => &ML_DSA_65,
        (MlDsa87, oid::ML_DSA_87) => &ML_DSA_87,
        _ => return None,
    })
}

fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm)
    else {
        return None;
    };
    Some(
        match parameters.hash_algorithm_oid().to_id_string().as_str() {
            oid::SHA256 => &RSA_PSS_2048_8192_SHA256,
            oid::SHA384 => &RSA_PSS_2048_8192_SHA384,
            oid::SHA512 => &RSA_PSS_2048_8192_SHA512,
            _ => return None,
        },
    )
}
