use serde_json::{Map, Value as Json, json};

use super::{
    fields::{Field, Kind},
    wire::{Raw, next},
};
use crate::object::timestamp;

/// Reads a message by its fields; `None` if it has others.
pub(super) fn object(fields: &[Field], mut bytes: &[u8]) -> Option<Json> {
    let mut map = Map::new();
    while !bytes.is_empty() {
        let (number, raw) = next(&mut bytes)?;
        let Some(field) = fields.iter().find(|field| field.number == number) else {
            if is_blank(&raw, 0) {
                continue;
            }
            return None;
        };
        insert(&mut map, field, raw)?;
    }
    Some(Json::Object(map))
}

/// Deeper than any message of the API; deeper still is an attack on the stack.
const DEEPEST: usize = 32;

/// Whether a value is what Go writes for something that was never set.
fn is_blank(raw: &Raw, depth: usize) -> bool {
    match raw {
        _ if depth > DEEPEST => false,
        Raw::Varint(number) => *number == 0,
        Raw::Fixed => false,
        Raw::Bytes(bytes) => {
            let mut bytes = *bytes;
            while !bytes.is_empty() {
                match next(&mut bytes) {
                    Some((_, raw)) if is_blank(&raw, depth + 1) => {}
                    _ => return false,
                }
            }
            true
        }
    }
}

fn insert(map: &mut Map<String, Json>, field: &Field, raw: Raw) -> Option<()> {
    let entries = match field.kind {
        Kind::Texts | Kind::Datas | Kind::Quantities => {
            let Raw::Bytes(bytes) = raw else { return None };
            let (key, value) = entry(field.kind, bytes)?;
            let all = map.entry(field.name).or_insert_with(|| json!({}));
            all[key] = value;
            return Some(());
        }
        _ => value(field, raw)?,
    };
    match (field.repeated, entries) {
        (true, value) => {
            let list = map.entry(field.name).or_insert_with(|| json!([]));
            list.as_array_mut()?
                .push(value.unwrap_or_else(|| json!("")));
        }
        (false, Some(value)) => {
            map.insert(field.name.into(), value);
        }
        (false, None) => {}
    }
    Some(())
}

/// A value; the inner `None` is one that JSON leaves out.
#[expect(
    clippy::option_option,
    reason = "a value that is wrong, and one that says nothing"
)]
fn value(field: &Field, raw: Raw) -> Option<Option<Json>> {
    Some(match (field.kind, raw) {
        (Kind::Text, Raw::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.is_empty()).then(|| text.into())
        }
        (Kind::Data, Raw::Bytes(bytes)) => Some(data_encoding::BASE64.encode(bytes).into()),
        (Kind::Count, Raw::Varint(number)) => Some(number.cast_signed().into()),
        (Kind::Number, Raw::Varint(number)) => (number != 0).then(|| number.cast_signed().into()),
        (Kind::Flag, Raw::Varint(flag)) => Some((flag != 0).into()),
        (Kind::Message(fields), Raw::Bytes(bytes)) => {
            let inner = object(fields, bytes)?;
            let is_empty = inner.as_object().is_some_and(Map::is_empty);
            (!is_empty || field.repeated).then_some(inner)
        }
        (Kind::Time, Raw::Bytes(bytes)) => {
            let time = object(super::fields::TIME, bytes)?;
            let seconds = time["seconds"].as_i64();
            seconds.map(|seconds| timestamp(seconds.saturating_mul(1000)).into())
        }
        (Kind::IntOrText, Raw::Bytes(bytes)) => {
            let either = object(super::fields::INT_OR_TEXT, bytes)?;
            let number = either["intVal"].as_i64().unwrap_or_default();
            Some(match either["type"].as_i64() {
                Some(1) => either["strVal"].clone(),
                _ => number.into(),
            })
        }
        _ => return None,
    })
}

/// An entry of a map is a message of a key and a value.
fn entry(kind: Kind, mut bytes: &[u8]) -> Option<(String, Json)> {
    let (mut key, mut value) = (String::new(), &[][..]);
    while !bytes.is_empty() {
        match next(&mut bytes)? {
            (1, Raw::Bytes(bytes)) => key = String::from_utf8(bytes.to_vec()).ok()?,
            (2, Raw::Bytes(bytes)) => value = bytes,
            _ => return None,
        }
    }
    let value = match kind {
        Kind::Datas => data_encoding::BASE64.encode(value).into(),
        Kind::Quantities => object(super::fields::QUANTITY, value)?["string"].clone(),
        _ => std::str::from_utf8(value).ok()?.into(),
    };
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_a_field_of_a_million_levels_is_no_blank() {
        let mut bytes = Vec::new();
        for _ in 0..200_000 {
            // A field 15 that is as long as what is in it; varints of its length, innermost first.
            let mut head = vec![15 << 3 | 2];
            let mut length = bytes.len();
            while length >= 0x80 {
                head.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            head.push(length as u8);
            head.reverse();
            bytes.extend(head);
        }
        bytes.reverse();
        assert_eq!(object(&[], &bytes), None);
    }
}
