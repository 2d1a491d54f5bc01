//! `base64`: the standard alphabet, padded, and the one for URLs, bare. What is made from a secret
//! is a secret.

use data_encoding::{BASE64, BASE64URL_NOPAD, Encoding};
use rhai::Module;

use super::{FuncRegistration, Thrown};
use crate::value::{Bytes, Secret};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    for (encode, decode, encoding) in [
        ("encode", "decode", BASE64),
        ("encode_url", "decode_url", BASE64URL_NOPAD),
    ] {
        let set = |name: &str| FuncRegistration::new(name);
        let alphabet = encoding.clone();
        set(encode).set_into_module(&mut module, move |text: &str| {
            alphabet.encode(text.as_bytes())
        });
        let alphabet = encoding.clone();
        set(encode).set_into_module(&mut module, move |bytes: Bytes| alphabet.encode(&bytes));
        let alphabet = encoding.clone();
        set(encode).set_into_module(&mut module, move |secret: Secret| {
            Secret::new(alphabet.encode(secret.reveal_bytes()))
        });
        let alphabet = encoding.clone();
        set(decode).set_into_module(&mut module, move |text: &str| -> Result<String, Thrown> {
            let bytes = bytes_of(decode, &alphabet, text)?;
            String::from_utf8(bytes).map_err(|_| {
                format!("base64::{decode}: what is encoded is not UTF-8; `base64::{decode}_bytes` gives its bytes").into()
            })
        });
        let alphabet = encoding.clone();
        set(decode).set_into_module(
            &mut module,
            move |secret: Secret| -> Result<Secret, Thrown> {
                let bytes = bytes_of(decode, &alphabet, secret.reveal())?;
                Ok(Secret::of_bytes(&bytes))
            },
        );
        let (decode, alphabet) = (format!("{decode}_bytes"), encoding);
        let name = decode.clone();
        set(&name).set_into_module(&mut module, move |text: &str| -> Result<Bytes, Thrown> {
            bytes_of(&decode, &alphabet, text).map(Bytes::new)
        });
    }
    module
}

fn bytes_of(function: &str, encoding: &Encoding, text: &str) -> Result<Vec<u8>, Thrown> {
    encoding
        .decode(text.trim().as_bytes())
        .map_err(|_| format!("base64::{function}: the text is not base64").into())
}
