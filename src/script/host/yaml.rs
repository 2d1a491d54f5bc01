//! `yaml`: text to values and back. Secrets are written as their mask.

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
            let value = Value::from_yaml(text).ok_or("yaml::parse: this is no YAML")?;
            Ok(to_dynamic(&value))
        },
    );
    FuncRegistration::new("stringify").set_into_module(
        &mut module,
        |value: Dynamic| -> Result<String, Thrown> {
            let value = from_dynamic(&value).map_err(|e| format!("yaml::stringify: {e}"))?;
            Ok(value.to_yaml())
        },
    );
    module
}
