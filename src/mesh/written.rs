//! Reads the options of a mesh from a table in a configuration: `{ istio = "1.29", multi-root = "on" }`.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, Visitor},
};

use super::options::{KEYS, MeshOptions, no_key};

impl<'de> Deserialize<'de> for MeshOptions {
    /// Reads the keys and values that [`from_str`](std::str::FromStr::from_str) reads, each as a text. A mistake is
    /// reported at its key or value, so that a format with positions can show the place.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = MeshOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a table such as { istio = "1.29", multi-root = "on" }"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MeshOptions, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(key) = map.next_key::<Key>()? {
            let value = map.next_value_seed(Entry(key.0))?;
            pairs.insert(key.0, value);
        }
        let pairs = pairs.iter().map(|(key, value)| (*key, value.as_str()));
        MeshOptions::of_pairs(pairs).map_err(A::Error::custom)
    }
}

/// One of [`KEYS`].
struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = KEYS.into_iter().find(|key| *key == text);
        known
            .map(Self)
            .ok_or_else(|| D::Error::custom(no_key(&text)))
    }
}

/// The value of a key.
struct Entry(&'static str);

impl<'de> DeserializeSeed<'de> for Entry {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Entry {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A version without quotes is a number, and the number 1.30 is 1.3.
        f.write_str(match self.0 {
            "istio" | "ztunnel" | "gloo" => r#"a version in quotes, such as "1.29""#,
            "multi-root" | "xds-agent" => r#""on" or "off""#,
            "revision" => r#"a revision of Istio in quotes, such as "1-24""#,
            _ => r#"a duration in quotes, such as "500ms""#,
        })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        MeshOptions::default()
            .set(self.0, text)
            .map_err(E::custom)?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<MeshOptions, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_gives_the_same_options_as_the_command_line() {
        let table = r#"{ "istio": "1.29", "gloo": "2.5", "multi-root": "on", "mount": "1m 30s" }"#;
        let text = "istio=1.29,gloo=2.5,multi-root=on,mount=1m 30s";
        assert_eq!(read(table), text.parse());
        assert_eq!(read("{}"), Ok(MeshOptions::default()));
    }

    #[test]
    fn mistakes_are_named() {
        for (table, part) in [
            (r#"{ "istoi": "1.29" }"#, "did you mean `istio`?"),
            (
                r#"{ "istio": 1.30 }"#,
                "expected a version in quotes, such as \"1.29\"",
            ),
            (r#"{ "istio": "new" }"#, "`new` is not a version"),
            (r#"{ "multi-root": true }"#, "expected \"on\" or \"off\""),
            (r#"{ "mount": "0s" }"#, "can't be zero"),
            (r#"{ "mount": 100 }"#, "expected a duration in quotes"),
            (r#""istio=1.29""#, "expected a table such as"),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(part), "{table}: {error}");
        }
    }
}
