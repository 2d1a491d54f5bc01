//! `base64`: the standard alphabet, padded, and the one for URLs, bare. What is made from a secret
//! is a secret.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use rhai::Module;

use super::{FuncRegistration, Thrown};
use crate::value::Secret;

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("encode")
        .set_into_module(&mut module, |text: &str| BASE64.encode(text.as_bytes()));
    FuncRegistration::new("encode").set_into_module(&mut module, |secret: Secret| {
        Secret::new(BASE64.encode(secret.reveal().as_bytes()))
    });
    FuncRegistration::new("encode_url").set_into_module(&mut module, |text: &str| {
        BASE64URL_NOPAD.encode(text.as_bytes())
    });
    FuncRegistration::new("encode_url").set_into_module(&mut module, |secret: Secret| {
        Secret::new(BASE64URL_NOPAD.encode(secret.reveal().as_bytes()))
    });
    FuncRegistration::new("decode").set_into_module(&mut module, decode);
    FuncRegistration::new("decode")
        .set_into_module(&mut module, |secret: Secret| -> Result<Secret, Thrown> {
            decode(secret.reveal()).map(Secret::new)
        });
    module
}

fn decode(text: &str) -> Result<String, Thrown> {
    let bytes = BASE64
        .decode(text.trim().as_bytes())
        .map_err(|_| "base64::decode: the text is no base64")?;
    String::from_utf8(bytes).map_err(|_| "base64::decode: what is encoded is no text".into())
}
