//! `json`, `yaml` and `toml`: text to values and back. A text with a secret in it is one.

use rhai::{Dynamic, FuncRegistration, Module};

use super::Thrown;
use crate::{
    script::dynamic::{from_dynamic, to_dynamic},
    value::{Secret, Value},
};

pub(super) fn json() -> Module {
    module(
        "json",
        |text| {
            let json = serde_json::from_str(text).map_err(|e| e.to_string())?;
            Ok(Value::from_json(json))
        },
        |value| Ok(value.to_json().to_string()),
    )
}

pub(super) fn yaml() -> Module {
    module(
        "yaml",
        |text| Value::from_yaml(text).ok_or_else(|| "this is no YAML".into()),
        |value| Ok(value.to_yaml()),
    )
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
