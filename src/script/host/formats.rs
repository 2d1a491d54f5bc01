//! `json`, `yaml` and `toml`: text to values and back. A text with a secret in it is one.
//!
//! What a format can't say is refused with its place; an integer beyond 64 bits is read as the text of
//! its digits.

use rhai::{Array, Dynamic, Module};

use super::{FuncRegistration, Thrown};
use crate::{
    script::dynamic::{from_dynamic, to_dynamic},
    value::{Secret, Value},
};

pub(super) fn json() -> Module {
    module("json", Value::parse_json, |value| {
        value.check_sayable("JSON")?;
        Ok(value.to_json().to_string())
    })
}

/// Beside the two functions of each format, `yaml::parse_all(text)` gives a list of all documents.
pub(super) fn yaml() -> Module {
    let parse = |text: &str| {
        Value::parse_yaml(text).map_err(|e| match e.contains("second document") {
            true => format!("{e} (`yaml::parse_all` reads them all)"),
            false => e,
        })
    };
    let mut module = module("yaml", parse, |value| Ok(value.to_yaml()));
    FuncRegistration::new("parse_all").set_into_module(
        &mut module,
        |text: &str| -> Result<Array, Thrown> {
            let documents =
                Value::parse_yaml_all(text).map_err(|e| format!("yaml::parse_all: {e}"))?;
            Ok(documents.iter().map(to_dynamic).collect())
        },
    );
    module
}

pub(super) fn toml() -> Module {
    module("toml", Value::from_toml, Value::to_toml)
}

/// `NAME::parse(text)` and `NAME::stringify(value)`.
fn module(
    name: &'static str,
    parse: fn(&str) -> Result<Value, String>,
    stringify: fn(&Value) -> Result<String, String>,
) -> Module {
    let mut module = Module::new();
    FuncRegistration::new("parse").set_into_module(
        &mut module,
        move |text: &str| -> Result<Dynamic, Thrown> {
            let value = parse(text).map_err(|e| format!("{name}::parse: {e}"))?;
            Ok(to_dynamic(&value))
        },
    );
    FuncRegistration::new("parse").set_into_module(
        &mut module,
        move |_: Secret| -> Result<Dynamic, Thrown> {
            Err(
                format!("{name}::parse: the text is a secret, and the keys in it would not be")
                    .into(),
            )
        },
    );
    FuncRegistration::new("stringify").set_into_module(
        &mut module,
        move |value: Dynamic| -> Result<Dynamic, Thrown> {
            let failed = |e: String| format!("{name}::stringify: {e}");
            let value = from_dynamic(&value).map_err(|e| failed(e.to_string()))?;
            Ok(match value.holds_secret() {
                true => Dynamic::from(Secret::new(stringify(&value.revealed()).map_err(failed)?)),
                false => stringify(&value).map_err(failed)?.into(),
            })
        },
    );
    module
}
