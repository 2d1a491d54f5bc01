//! `hash`: digests, as lower-case hex. The digest of a secret is a secret.

use aws_lc_rs::{digest, hmac};

use super::function::{
    Binder, Function, Gives,
    Impact::Computes,
    Needs,
    ValueKind::{self, Bytes, Either, Secret, Text},
    required,
};
use windlass_world::value;

const CONTENT: ValueKind = Either(&[Text, Bytes, Secret]);

pub(super) static TABLE: [Function; 3] = [
    Function {
        name: "hash::hmac_sha256",
        about: "Returns the HMAC of a text or of bytes with a key.",
        takes: &[required("key", CONTENT, ""), required("text", CONTENT, "")],
        gives: Gives::new(
            Either(&[Text, Secret]),
            "hex; a secret if the input is a secret",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let signature = hash::hmac_sha256(inputs.key, inputs.body);",
        bind: bind_hmac,
    },
    Function {
        name: "hash::sha256",
        about: "Returns the SHA-256 digest of a text or of bytes.",
        takes: &[required("text", CONTENT, "")],
        gives: Gives::new(
            Either(&[Text, Secret]),
            "hex; a secret if the input is a secret",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let digest = hash::sha256(inputs.text);",
        bind: |b| bind(b, &digest::SHA256),
    },
    Function {
        name: "hash::sha512",
        about: "Returns the SHA-512 digest of a text or of bytes.",
        takes: &[required("text", CONTENT, "")],
        gives: Gives::new(
            Either(&[Text, Secret]),
            "hex; a secret if the input is a secret",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let digest = hash::sha512(inputs.text);",
        bind: |b| bind(b, &digest::SHA512),
    },
];

fn bind<'b, 'm>(
    binder: &'b mut Binder<'m>,
    algorithm: &'static digest::Algorithm,
) -> &'b mut Binder<'m> {
    let of = move |content: &[u8]| hex(digest::digest(algorithm, content).as_ref());
    binder
        .with(move |text: &str| of(text.as_bytes()))
        .with(move |bytes: value::Bytes| of(&bytes))
        .with(move |secret: value::Secret| value::Secret::new(of(secret.reveal_bytes())))
}

fn bind_hmac<'b, 'm>(binder: &'b mut Binder<'m>) -> &'b mut Binder<'m> {
    use value::{Bytes, Secret};
    let sealed = |key: &[u8], content: &[u8]| Secret::new(hmac(key, content));
    binder
        .with(|key: &str, text: &str| hmac(key.as_bytes(), text.as_bytes()))
        .with(|key: &str, bytes: Bytes| hmac(key.as_bytes(), &bytes))
        .with(|key: Bytes, text: &str| hmac(&key, text.as_bytes()))
        .with(|key: Bytes, bytes: Bytes| hmac(&key, &bytes))
        .with(move |key: Secret, text: &str| sealed(key.reveal_bytes(), text.as_bytes()))
        .with(move |key: Secret, bytes: Bytes| sealed(key.reveal_bytes(), &bytes))
        .with(move |key: Secret, text: Secret| sealed(key.reveal_bytes(), text.reveal_bytes()))
        .with(move |key: &str, text: Secret| sealed(key.as_bytes(), text.reveal_bytes()))
        .with(move |key: Bytes, text: Secret| sealed(&key, text.reveal_bytes()))
}

fn hmac(key: &[u8], content: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hex(hmac::sign(&key, content).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
