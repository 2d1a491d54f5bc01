//! Finds what a run makes anew: texts that are others in each run, such as keys, certificates and the time, so that a recorded test can't
//! expect them.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::{
    journal::{EffectOutcome, EffectState},
    script::leaves,
    value::Value,
};

/// The modules whose calls give the same again in a test, though they do not leave this machine.
const SAME: [&str; 2] = ["file", "log"];
/// Shorter texts are names and words, which may be the same by chance.
const SHORTEST: usize = 8;
/// A number of at least this size is a time or made at random.
const LARGE: f64 = 1e6;
/// The number of digits from which a hexadecimal text is a serial number or a digest.
const DIGITS: usize = 16;

/// The texts that the calls of a run gave and that are others in the next run.
#[derive(Default)]
pub struct Anew {
    texts: BTreeSet<String>,
    /// Whether there were such calls: then values may come from them that are not their texts.
    is_any: bool,
}

impl Anew {
    /// Collects the texts. `is_asked_again` says which calls the test makes again instead of getting the recorded answers.
    pub fn of<'e>(
        effects: impl Iterator<Item = &'e EffectState>,
        params: &Value,
        is_asked_again: impl Fn(&EffectState) -> bool,
    ) -> Self {
        let mut anew = Self::default();
        for effect in effects.filter(|effect| is_asked_again(effect)) {
            if let Some(EffectOutcome::Done(value)) = &effect.outcome {
                anew.is_any = true;
                texts_of(value, &mut anew.texts);
            }
        }
        let mut given = BTreeSet::new();
        texts_of(params, &mut given);
        anew.texts.retain(|text| !given.contains(text));
        anew
    }

    /// Whether the result of this call is other in each run though it does not leave this machine.
    pub fn is_made(effect: &EffectState) -> bool {
        let function = effect.call.function.as_str();
        let module = function.split("::").next().unwrap_or_default();
        !leaves(function) && !SAME.contains(&module)
    }

    /// Returns the pattern of an output that holds these texts: `*` in their places.
    pub fn pattern(&self, json: Json) -> Json {
        match json {
            Json::String(text) if self.is_any && is_made_anew(&text) => "*".into(),
            Json::String(text) => {
                let found = self.texts.iter().rev();
                found
                    .fold(text, |text, made| text.replace(made.as_str(), "*"))
                    .into()
            }
            Json::Number(number)
                if self.is_any && number.as_f64().is_some_and(|n| n.abs() >= LARGE) =>
            {
                "*".into()
            }
            Json::Array(items) => items.into_iter().map(|item| self.pattern(item)).collect(),
            Json::Object(map) => {
                let entries = map.into_iter().map(|(key, item)| (key, self.pattern(item)));
                Json::Object(entries.collect())
            }
            other => other,
        }
    }
}

fn texts_of(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() >= SHORTEST => {
            texts.insert(text.clone());
        }
        Value::List(items) => items.iter().for_each(|item| texts_of(item, texts)),
        Value::Map(map) => map.values().for_each(|item| texts_of(item, texts)),
        _ => {}
    }
}

/// Says whether a text looks like an ARN, PEM, a date, or a number in hexadecimal digits.
fn is_made_anew(text: &str) -> bool {
    let digits = text.chars().filter(|c| *c != ':');
    let is_hex = digits.clone().count() >= DIGITS && digits.clone().all(|c| c.is_ascii_hexdigit());
    is_hex || text.contains("-----BEGIN ") || text.contains("arn:") || has_date(text)
}

/// Says whether a text has a date, such as `2027-03-01`.
fn has_date(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00";
    text.as_bytes().windows(SHAPE.len()).any(|part| {
        part.iter().zip(SHAPE).all(|(found, wanted)| {
            let is_digit = *wanted == b'0' && found.is_ascii_digit();
            is_digit || found == wanted
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_anew_is_known_by_its_form() {
        for text in [
            "5f728bd25f728bd2",
            "5F:72:8B:D2:5F:72:8B:D2",
            "until 2027-03-01",
            "2027-03-01T00:00:00Z",
            "arn:aws:acm-pca:eu-west-1:1:x",
        ] {
            assert!(is_made_anew(text), "{text}");
        }
        for text in ["", "gloo-mesh", "beef", "10.0.0.1", "1-2-3", "CN=leaf"] {
            assert!(!is_made_anew(text), "{text}");
        }
    }

    #[test]
    fn its_place_in_an_output_matches_anything() {
        let anew = Anew {
            texts: ["0123-4567-89".to_owned()].into(),
            is_any: true,
        };
        let pattern = anew.pattern(serde_json::json!({
            "id": "job 0123-4567-89", "n": 3, "at": 1_790_000_000, "name": "x",
        }));
        let wanted = serde_json::json!({ "id": "job *", "n": 3, "at": "*", "name": "x" });
        assert_eq!(pattern, wanted);
        let same = Anew::default();
        assert_eq!(same.pattern("2027-03-01".into()), Json::from("2027-03-01"));
    }
}
