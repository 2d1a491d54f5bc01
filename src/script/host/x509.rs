//! `x509`: reading certificates. Pure, so no effect.

use rhai::{Array, Dynamic, Module};

use super::{FuncRegistration, Thrown};
use crate::{script::dynamic::to_dynamic, value::Secret, x509::Certificate};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("read").set_into_module(
        &mut module,
        |pem: &str| -> Result<Dynamic, Thrown> {
            let first = read(pem)?.into_iter().next();
            Ok(first.map_or(Dynamic::UNIT, |c| to_dynamic(&c.to_value())))
        },
    );
    FuncRegistration::new("read_all").set_into_module(
        &mut module,
        |pem: &str| -> Result<Array, Thrown> {
            Ok(read(pem)?
                .iter()
                .map(|c| to_dynamic(&c.to_value()))
                .collect())
        },
    );
    let set = |name: &str| FuncRegistration::new(name);
    set("split").set_into_module(&mut module, |pem: &str| split(pem.as_bytes()));
    set("split").set_into_module(&mut module, |pem: Secret| split(pem.reveal_bytes()));
    module
}

/// `x509::split(pem)` gives the certificates of a text one by one, each as PEM. A certificate is public, so
/// those of a secret, such as what a Kubernetes Secret holds, are texts; nothing else of it comes out.
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
