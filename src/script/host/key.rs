//! `key`: private keys, made here and never shown.

use rhai::{Dynamic, Module, NativeCallContext};

use super::{
    FuncRegistration, Thrown, WRONG_ARGUMENTS, arguments::refuse, on_blocking_thread, perform,
    rejected, throw,
};
use crate::{
    script::{
        dynamic::from_dynamic,
        effects::{Call, Class},
    },
    value::{Failure, Secret, Value},
    x509::{KeyAlgorithm, PrivateKey},
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("generate").set_into_module(&mut module, generate);
    FuncRegistration::new("read")
        .set_into_module(&mut module, |text: Dynamic| read(&text, &Dynamic::UNIT));
    FuncRegistration::new("read")
        .set_into_module(&mut module, |text: Dynamic, passphrase: Dynamic| {
            read(&text, &passphrase)
        });
    module
}

/// `key::read(text)`, `key::read(text, passphrase)` finds the private key in a PEM text, whatever
/// form it has, and gives it as PKCS #8 without a passphrase, a secret. Pure, so no effect.
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
        return Err(refuse(FUNCTION, "it needs the text of a key"));
    };
    let passphrase = secret("passphrase", passphrase)?;
    match PrivateKey::read(text.reveal().as_bytes(), passphrase.as_ref()) {
        Ok(key) => Ok(key.to_pem()),
        Err(e) => Err(throw(&Failure {
            hint: e.hint().map(Into::into),
            ..rejected(FUNCTION, WRONG_ARGUMENTS, e)
        })),
    }
}

/// `key::generate("RSA_2048")` gives a private key, PKCS #8 in PEM, as a secret. An effect: a
/// replay gives the same key.
fn generate(context: NativeCallContext, algorithm: &str) -> Result<Secret, Thrown> {
    const FUNCTION: &str = "key::generate";
    let parsed = KeyAlgorithm::parse(algorithm).map_err(|e| refuse(FUNCTION, e))?;
    let call = Call::new(
        FUNCTION,
        Class::Read,
        algorithm.into(),
        move |_| async move {
            on_blocking_thread(FUNCTION, move || parsed.generate())
                .await?
                .map(Value::Secret)
                .map_err(|e| rejected(FUNCTION, "Generate", e))
        },
    );
    match perform(&context, call)? {
        Value::Secret(key) => Ok(key),
        _ => Err("key::generate: the journal holds no key here".into()),
    }
}
