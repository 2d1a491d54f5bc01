//! Formats calls for records and messages.

use windlass_world::value::{Redactor, Value};

/// How much of a text argument a record shows.
const SHOWN_CHARACTERS: usize = 120;

pub(super) fn describe(function: &str, arguments: &serde_json::Value) -> String {
    match arguments {
        serde_json::Value::Null => format!("{function}()"),
        arguments => format!("{function}({arguments})"),
    }
}

/// Returns arguments for a record: secrets masked, long texts cut to their start. A key that begins with `$` gets one more
/// `$`, as in all stored values: `$secret` marks encrypted ones.
pub(super) fn shown(arguments: &Value, redactor: &Redactor) -> serde_json::Value {
    fn cut(json: &mut serde_json::Value) {
        match json {
            serde_json::Value::String(text) if text.len() > SHOWN_CHARACTERS => {
                let head: String = text.chars().take(SHOWN_CHARACTERS / 2).collect();
                *text = format!("{head}… ({} bytes)", text.len());
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(cut),
            serde_json::Value::Object(map) => {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, mut value)| {
                        cut(&mut value);
                        if key.starts_with('$') {
                            (format!("${key}"), value)
                        } else {
                            (key, value)
                        }
                    })
                    .collect();
            }
            _ => {}
        }
    }
    // Secrets are masked before texts are cut: half a secret would not be found.
    let mut json = redactor.json(arguments.to_json());
    cut(&mut json);
    json
}
