use serde_json::{Map, Value as Json, json};

use super::{
    fields::{Field, Kind},
    wire::{Raw, next},
};
use crate::object::timestamp;

/// Reads a message. Returns `None` if it has a field that is not in `fields`.
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

/// More than the depth of any message of the API; a deeper message could exhaust the stack.
const DEEPEST: usize = 32;

/// Returns whether a value is what Go writes for a field that was never set.
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

/// Reads a value. The inner `None` is a value that JSON omits.
#[expect(
    clippy::option_option,
    reason = "a malformed value, and a value that JSON omits"
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

/// Reads an entry of a map: a message with a key and a value.
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
    fn a_field_with_a_million_levels_is_not_blank() {
        let mut bytes = Vec::new();
        for _ in 0..200_000 {
            // Nested fields with the number 15; the varints of their lengths are built from the innermost.
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
