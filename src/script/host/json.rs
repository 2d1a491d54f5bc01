//! `json`: text to values and back. Secrets are written as their mask.

use rhai::{Dynamic, FuncRegistration, Module};

use super::Thrown;
use crate::{
    script::dynamic::{from_dynamic, to_dynamic},
    value::Value,
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("parse").set_into_module(
        &mut module,
        |text: &str| -> Result<Dynamic, Thrown> {
            let json = serde_json::from_str(text).map_err(|e| format!("json::parse: {e}"))?;
            Ok(to_dynamic(&Value::from_json(json)))
        },
    );
    FuncRegistration::new("stringify").set_into_module(
        &mut module,
        |value: Dynamic| -> Result<String, Thrown> {
            let value = from_dynamic(&value).map_err(|e| format!("json::stringify: {e}"))?;
            Ok(value.to_json().to_string())
        },
    );
    module
}
