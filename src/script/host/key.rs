//! `key`: creates private keys, which are never shown.

use rhai::{Dynamic, NativeCallContext};

use super::{
    Thrown, WRONG_ARGUMENTS,
    arguments::refuse,
    function::{
        Function, Gives,
        Impact::{Computes, Records},
        Needs,
        ValueKind::{self, Either, Text, Word},
        optional, required,
    },
    on_blocking_thread, perform, rejected, throw,
};
use crate::{dynamic::from_dynamic, effects::Call};
use windlass_world::{
    value::{Failure, Secret, Value},
    x509::{KeyAlgorithm, PrivateKey},
};

pub(super) static TABLE: [Function; 2] = [
    Function {
        name: "key::generate",
        about: "Generates a private key; a replay returns the same one.",
        takes: &[required("algorithm", Word(KeyAlgorithm::NAMES), "")],
        gives: Gives::new(ValueKind::Secret, "PKCS #8, PEM"),
        does: Records,
        needs: Needs::Nothing,
        example: "let key = key::generate(\"RSA_2048\");",
        bind: |b| b.with(generate),
    },
    Function {
        name: "key::read",
        about: "Reads the private key in a PEM text: PKCS #8, also under a passphrase, PKCS #1 or SEC 1.",
        takes: &[
            required("text", Either(&[ValueKind::Secret, Text]), "PEM"),
            optional("passphrase", Either(&[ValueKind::Secret, Text]), ""),
        ],
        gives: Gives::new(ValueKind::Secret, "PKCS #8 without a passphrase, PEM"),
        does: Computes,
        needs: Needs::Nothing,
        example: "let key = key::read(inputs.key, inputs.passphrase);",
        bind: |b| {
            b.with(|text: Dynamic| read(&text, &Dynamic::UNIT))
                .with(|text: Dynamic, passphrase: Dynamic| read(&text, &passphrase))
        },
    },
];

/// Implements `key::read(text)` and `key::read(text, passphrase)`: finds the private key in a PEM text, in any format,
/// and returns it as PKCS #8 without a passphrase, as a secret. It is pure, so it is not an effect.
fn read(text: &Dynamic, passphrase: &Dynamic) -> Result<Secret, Thrown> {
    const FUNCTION: &str = "key::read";
    let secret = |name: &str, given: &Dynamic| match from_dynamic(given) {
        Ok(Value::Secret(secret)) => Ok(Some(secret)),
        Ok(Value::String(text)) => Ok(Some(Secret::new(text))),
        Ok(Value::Null) => Ok(None),
        Ok(other) => {
            let kind = other.kind();
            Err(refuse(
                FUNCTION,
                format!("the {name} is a {kind}, not a string or a secret"),
            ))
        }
        Err(e) => Err(refuse(FUNCTION, e)),
    };
    let Some(text) = secret("key", text)? else {
        return Err(refuse(FUNCTION, "it must be the text of a key"));
    };
    let passphrase = secret("passphrase", passphrase)?;
    match PrivateKey::read(text.reveal_bytes(), passphrase.as_ref()) {
        Ok(key) => Ok(key.to_pem()),
        Err(e) => Err(throw(&Failure {
            hint: e.hint().map(Into::into),
            ..rejected(FUNCTION, WRONG_ARGUMENTS, e)
        })),
    }
}

/// Implements `key::generate("RSA_2048")`: returns a private key, PKCS #8 in PEM, as a secret. It is an effect, so a
/// replay returns the same key.
fn generate(context: NativeCallContext, algorithm: &str) -> Result<Secret, Thrown> {
    const FUNCTION: &str = "key::generate";
    let parsed = KeyAlgorithm::parse(algorithm).map_err(|e| refuse(FUNCTION, e))?;
    let call = Call::of(FUNCTION, algorithm.into(), move |_| async move {
        on_blocking_thread(FUNCTION, move || parsed.generate())
            .await?
            .map(Value::Secret)
            .map_err(|e| rejected(FUNCTION, "Generate", e))
    });
    match perform(&context, call)? {
        Value::Secret(key) => Ok(key),
        _ => Err("key::generate: the journal has no key here".into()),
    }
}
