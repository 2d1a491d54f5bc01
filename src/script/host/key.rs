//! `key`: private keys, made here and never shown.

use rhai::{Module, NativeCallContext};

use super::{FuncRegistration, Thrown, arguments::refuse, on_blocking_thread, perform, rejected};
use crate::{
    script::effects::{Call, Class},
    value::{Secret, Value},
    x509::KeyAlgorithm,
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("generate").set_into_module(&mut module, generate);
    module
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
