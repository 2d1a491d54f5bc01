//! Calls as records and messages show them.

use crate::value::Value;

/// How much of a text argument a record shows.
const SHOWN_CHARACTERS: usize = 120;

pub(super) fn describe(function: &str, arguments: &serde_json::Value) -> String {
    match arguments {
        serde_json::Value::Null => format!("{function}()"),
        arguments => format!("{function}({arguments})"),
    }
}

/// Arguments as a record shows them: secrets masked, long texts cut to their start.
pub(super) fn shown(arguments: &Value) -> serde_json::Value {
    fn cut(json: &mut serde_json::Value) {
        match json {
            serde_json::Value::String(text) if text.len() > SHOWN_CHARACTERS => {
                let head: String = text.chars().take(SHOWN_CHARACTERS / 2).collect();
                *text = format!("{head}… ({} bytes)", text.len());
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(cut),
            serde_json::Value::Object(map) => map.values_mut().for_each(cut),
            _ => {}
        }
    }
    let mut json = arguments.to_json();
    cut(&mut json);
    json
}
