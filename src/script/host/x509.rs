//! `x509`: reading certificates, which is pure and so no effect, and verifying them.

use rhai::{Array, Dynamic, Module};

use super::{FuncRegistration, Thrown, verify::verify};
use crate::{script::dynamic::to_dynamic, x509::Certificate};

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
    FuncRegistration::new("verify").set_into_module(&mut module, verify);
    module
}

fn read(pem: &str) -> Result<Vec<Certificate>, Thrown> {
    Certificate::read_all(pem.as_bytes()).map_err(|e| format!("x509: {e}").into())
}
