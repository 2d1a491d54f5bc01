//! `x509`: reads certificates, which is pure and so not an effect, and verifies them.

use rhai::{Array, Dynamic};

use super::{
    Thrown,
    arguments::refuse,
    function::{
        Function, Gives,
        Impact::Computes,
        Needs, Parameter,
        ValueKind::{Bool, Either, List, Record, Secret, Text},
        optional, required,
    },
    verify,
};
use crate::dynamic::to_dynamic;
use windlass_world::{value::Secret as Sealed, x509::Certificate};

const PEM: Parameter = required("pem", Text, "one certificate or more, PEM");

/// What is read of a certificate.
pub(super) const CERTIFICATE: [Parameter; 14] = [
    required(
        "subject",
        Text,
        "in the form of RFC 4514: `CN=leaf,O=Solo.io`",
    ),
    required("issuer", Text, ""),
    required("serial", Text, "in hex"),
    required("not_before", Text, "RFC 3339"),
    required("not_after", Text, "RFC 3339"),
    required("dns_names", List(&Text), ""),
    required("ip_addresses", List(&Text), ""),
    required("uris", List(&Text), ""),
    required("email_addresses", List(&Text), ""),
    required("is_ca", Bool, ""),
    required("fingerprint", Text, "SHA-256 of the DER, in hex"),
    required(
        "public_key_sha256",
        Text,
        "SHA-256 of the SubjectPublicKeyInfo, in hex",
    ),
    optional("subject_key_id", Text, "in hex"),
    optional("authority_key_id", Text, "in hex"),
];

pub(super) static TABLE: [Function; 4] = [
    Function {
        name: "x509::read",
        about: "Reads the first certificate of a PEM text. A text without one is rejected.",
        takes: &[PEM],
        gives: Gives::new(Record(&CERTIFICATE), ""),
        does: Computes,
        needs: Needs::Nothing,
        example: "let expires = x509::read(inputs.certificate).not_after;",
        bind: |b| {
            b.with(|pem: &str| -> Result<Dynamic, Thrown> {
                let first = read(pem)?.into_iter().next();
                let first =
                    first.ok_or_else(|| refuse("x509::read", "the text has no certificate"))?;
                Ok(to_dynamic(&first.to_value()))
            })
        },
    },
    Function {
        name: "x509::read_all",
        about: "Reads all certificates of a PEM text, in order.",
        takes: &[PEM],
        gives: Gives::new(List(&Record(&CERTIFICATE)), ""),
        does: Computes,
        needs: Needs::Nothing,
        example: "let chain = x509::read_all(inputs.chain);",
        bind: |b| {
            b.with(|pem: &str| -> Result<Array, Thrown> {
                Ok(read(pem)?
                    .iter()
                    .map(|c| to_dynamic(&c.to_value()))
                    .collect())
            })
        },
    },
    Function {
        name: "x509::split",
        about: "Splits a text into its certificates. Certificates are public, so they are plain strings even if the text is a secret; nothing else of the text is returned.",
        takes: &[required(
            "pem",
            Either(&[Text, Secret]),
            "one certificate or more, PEM",
        )],
        gives: Gives::new(List(&Text), "each certificate as PEM, in order"),
        does: Computes,
        needs: Needs::Nothing,
        example: "let trusted = x509::split(inputs.bundle);",
        bind: |b| {
            b.with(|pem: &str| split(pem.as_bytes()))
                .with(|pem: Sealed| split(pem.reveal_bytes()))
        },
    },
    verify::VERIFY,
];

fn split(pem: &[u8]) -> Result<Array, Thrown> {
    let certificates = Certificate::read_all(pem).map_err(|e| format!("x509::split: {e}"))?;
    Ok(certificates
        .iter()
        .map(|certificate| certificate.to_pem().into())
        .collect())
}

fn read(pem: &str) -> Result<Vec<Certificate>, Thrown> {
    Certificate::read_all(pem.as_bytes()).map_err(|e| format!("x509: {e}").into())
}
