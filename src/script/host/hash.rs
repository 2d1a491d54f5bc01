//! `hash`: digests, as lower-case hex. What is made from a secret is a secret.

use aws_lc_rs::{digest, hmac};
use rhai::Module;

use super::FuncRegistration;
use crate::value::{Bytes, Secret};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    for (name, algorithm) in [("sha256", &digest::SHA256), ("sha512", &digest::SHA512)] {
        let of = move |text: &str| hex(digest::digest(algorithm, text.as_bytes()).as_ref());
        FuncRegistration::new(name).set_into_module(&mut module, of);
        FuncRegistration::new(name).set_into_module(&mut module, move |bytes: Bytes| {
            hex(digest::digest(algorithm, &bytes).as_ref())
        });
        FuncRegistration::new(name).set_into_module(&mut module, move |secret: Secret| {
            let digest = digest::digest(algorithm, secret.reveal_bytes());
            Secret::new(hex(digest.as_ref()))
        });
    }
    // `hash::hmac_sha256(key, text)`.
    FuncRegistration::new("hmac_sha256").set_into_module(&mut module, |key: Secret, text: &str| {
        Secret::new(hmac(key.reveal(), text))
    });
    FuncRegistration::new("hmac_sha256")
        .set_into_module(&mut module, |key: Secret, text: Secret| {
            Secret::new(hmac(key.reveal(), text.reveal()))
        });
    FuncRegistration::new("hmac_sha256").set_into_module(&mut module, |key: &str, text: Secret| {
        Secret::new(hmac(key, text.reveal()))
    });
    FuncRegistration::new("hmac_sha256")
        .set_into_module(&mut module, |key: &str, text: &str| hmac(key, text));
    module
}

fn hmac(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
