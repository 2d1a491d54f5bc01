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
        about: "Returns the HMAC of a string with a key.",
        takes: &[
            required("key", Either(&[Text, Secret]), ""),
            required("text", Either(&[Text, Secret]), ""),
        ],
        gives: Gives::new(
            Either(&[Text, Secret]),
            "hex; a secret if the input is a secret",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let signature = hash::hmac_sha256(inputs.key, inputs.body);",
        bind: |b| {
            b.with(|key: value::Secret, text: &str| value::Secret::new(hmac(key.reveal(), text)))
                .with(|key: value::Secret, text: value::Secret| {
                    value::Secret::new(hmac(key.reveal(), text.reveal()))
                })
                .with(|key: &str, text: value::Secret| value::Secret::new(hmac(key, text.reveal())))
                .with(|key: &str, text: &str| hmac(key, text))
        },
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

fn hmac(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
