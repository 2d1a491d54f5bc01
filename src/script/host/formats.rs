//! `json`, `yaml` and `toml`: convert text to values and back. A text with a secret in it is a secret.
//!
//! A value that a format can't express is rejected with its place; an integer beyond 64 bits is read as the text of its
//! digits.

use rhai::{Array, Dynamic, NativeCallContext};

use super::{
    Thrown,
    function::{
        Bind, Binder, Function, Gives,
        Impact::Computes,
        Needs, Parameter,
        ValueKind::{Any, Either, List, Secret, Text},
        required,
    },
    host,
};
use crate::dynamic::{from_dynamic, to_dynamic};
use windlass_world::value::{self, Value};

const CONTENT: &[Parameter] = &[required("text", Text, "")];
const VALUE: &[Parameter] = &[required("value", Any, "")];
const WRITTEN: Gives = Gives::new(
    Either(&[Text, Secret]),
    "a secret if the value contains one",
);

const fn parse(
    name: &'static str,
    about: &'static str,
    example: &'static str,
    bind: Bind,
) -> Function {
    Function {
        name,
        about,
        takes: CONTENT,
        gives: Gives::new(Any, ""),
        does: Computes,
        needs: Needs::Nothing,
        example,
        bind,
    }
}

const fn stringify(
    name: &'static str,
    about: &'static str,
    example: &'static str,
    bind: Bind,
) -> Function {
    Function {
        takes: VALUE,
        gives: WRITTEN,
        ..parse(name, about, example, bind)
    }
}

pub(super) static JSON: [Function; 2] = [
    parse(
        "json::parse",
        "Parses JSON. An integer beyond 64 bits becomes a string of its digits.",
        "let value = json::parse(inputs.text);",
        |b| bind_parse(b, "json", Value::parse_json),
    ),
    stringify(
        "json::stringify",
        "Writes a value as JSON, on one line. Bytes, infinity and `NaN` are rejected.",
        "let text = json::stringify(#{ a: 1 });",
        |b| {
            bind_stringify(b, "json", |value| {
                value.check_sayable("JSON")?;
                Ok(value.to_json().to_string())
            })
        },
    ),
];

pub(super) static YAML: [Function; 3] = [
    parse(
        "yaml::parse",
        "Parses a YAML document (1.2, with merge keys). A second document is rejected, and so is a number such as `0400`, which kubectl reads as octal.",
        "let value = yaml::parse(inputs.text);",
        |b| {
            b.with(
                |context: NativeCallContext, text: &str| -> Result<Dynamic, Thrown> {
                    let parsed = if is_replaying(&context) {
                        Value::parse_yaml_as_earlier(text, 1)
                            .map(|documents| documents.into_iter().next().unwrap_or_default())
                    } else {
                        Value::parse_yaml(text)
                    };
                    let value = parsed.map_err(|e| {
                        if e.contains("second document") {
                            format!("yaml::parse: {e} (`yaml::parse_all` reads them all)")
                        } else {
                            format!("yaml::parse: {e}")
                        }
                    })?;
                    Ok(to_dynamic(&value))
                },
            )
            .with(|_: value::Secret| refuse_secret("yaml"))
        },
    ),
    Function {
        gives: Gives::new(List(&Any), "one item a document"),
        ..parse(
            "yaml::parse_all",
            "Parses all documents of a YAML text.",
            "let documents = yaml::parse_all(inputs.text);",
            |b| {
                b.with(
                    |context: NativeCallContext, text: &str| -> Result<Array, Thrown> {
                        let parsed = if is_replaying(&context) {
                            Value::parse_yaml_as_earlier(text, usize::MAX)
                        } else {
                            Value::parse_yaml_all(text)
                        };
                        let documents = parsed.map_err(|e| format!("yaml::parse_all: {e}"))?;
                        Ok(documents.iter().map(to_dynamic).collect())
                    },
                )
            },
        )
    },
    stringify(
        "yaml::stringify",
        "Writes a value as YAML, with quotes where readers of YAML 1.1 would understand something else.",
        "let text = yaml::stringify(#{ a: 1 });",
        |b| bind_stringify(b, "yaml", |value| Ok(value.to_yaml())),
    ),
];

pub(super) static TOML: [Function; 2] = [
    parse(
        "toml::parse",
        "Parses TOML.",
        "let value = toml::parse(inputs.text);",
        |b| bind_parse(b, "toml", Value::from_toml),
    ),
    stringify(
        "toml::stringify",
        "Writes a map as TOML. Bytes are rejected.",
        "let text = toml::stringify(#{ a: 1 });",
        |b| bind_stringify(b, "toml", Value::to_toml),
    ),
];

fn bind_parse<'b, 'm>(
    binder: &'b mut Binder<'m>,
    name: &'static str,
    parse: fn(&str) -> Result<Value, String>,
) -> &'b mut Binder<'m> {
    binder
        .with(move |text: &str| -> Result<Dynamic, Thrown> {
            let value = parse(text).map_err(|e| format!("{name}::parse: {e}"))?;
            Ok(to_dynamic(&value))
        })
        .with(move |_: value::Secret| refuse_secret(name))
}

fn refuse_secret(name: &str) -> Result<Dynamic, Thrown> {
    let why = "the text is a secret, but its keys would not stay secret";
    Err(format!("{name}::parse: {why}").into())
}

/// Says whether a step repeats what an earlier version may have recorded: that read a number such as `0400` as decimal.
fn is_replaying(context: &NativeCallContext) -> bool {
    host(context).is_ok_and(|host| host.effects.is_replaying())
}

fn bind_stringify<'b, 'm>(
    binder: &'b mut Binder<'m>,
    name: &'static str,
    stringify: fn(&Value) -> Result<String, String>,
) -> &'b mut Binder<'m> {
    binder.with(move |value: Dynamic| -> Result<Dynamic, Thrown> {
        let failed = |e: String| format!("{name}::stringify: {e}");
        let value = from_dynamic(&value).map_err(|e| failed(e.to_string()))?;
        Ok(if value.holds_secret() {
            let text = stringify(&value.revealed()).map_err(failed)?;
            Dynamic::from(value::Secret::new(text))
        } else {
            stringify(&value).map_err(failed)?.into()
        })
    })
}
