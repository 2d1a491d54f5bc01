//! Converts between JSON values and the part of CBOR (RFC 8949) that smithy-rpc-v2-cbor uses.
//!
//! A blob is a byte string in CBOR and base64 in JSON; a timestamp is a tagged number in CBOR and a number in JSON.

use serde_json::{Map, Number, Value};

use crate::wire::model::{Kind, MODEL, Shape};

/// More than the depth of any input in the model; a deeper value could exhaust the stack.
const DEEPEST: usize = 32;

const BREAK: u8 = 0xff;

/// Reads a value that takes up all bytes. Returns `None` if there is none.
pub(crate) fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { bytes };
    let value = reader.value(0)?;
    reader.bytes.is_empty().then_some(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let head = self.byte()?;
        let (major, info) = (head >> 5, head & 0x1f);
        match major {
            0 => Some(Value::from(self.argument(info)?)),
            1 => Some(Value::from(-1 - i64::try_from(self.argument(info)?).ok()?)),
            2 => {
                let bytes = self.string(major, info)?;
                Some(Value::from(data_encoding::BASE64.encode(&bytes)))
            }
            3 => Some(Value::from(
                String::from_utf8(self.string(major, info)?).ok()?,
            )),
            4 => {
                let mut items = Vec::new();
                let mut left = self.count(info)?;
                while self.more(&mut left)? {
                    items.push(self.value(depth + 1)?);
                }
                Some(Value::Array(items))
            }
            5 => {
                let mut members = Map::new();
                let mut left = self.count(info)?;
                while self.more(&mut left)? {
                    let Value::String(name) = self.value(depth + 1)? else {
                        return None;
                    };
                    members.insert(name, self.value(depth + 1)?);
                }
                Some(Value::Object(members))
            }
            6 => {
                self.argument(info)?;
                self.value(depth + 1)
            }
            _ => self.simple(info),
        }
    }

    fn simple(&mut self, info: u8) -> Option<Value> {
        match info {
            20 => Some(Value::Bool(false)),
            21 => Some(Value::Bool(true)),
            22 | 23 => Some(Value::Null),
            25 => {
                let bits = u16::try_from(self.argument(info)?).ok()?;
                Number::from_f64(half(bits)).map(Value::Number)
            }
            26 => {
                let bits = u32::try_from(self.argument(info)?).ok()?;
                Number::from_f64(f64::from(f32::from_bits(bits))).map(Value::Number)
            }
            27 => Number::from_f64(f64::from_bits(self.argument(info)?)).map(Value::Number),
            _ => None,
        }
    }

    /// Returns the number of a head: in the head itself, or in the next 1, 2, 4 or 8 bytes.
    fn argument(&mut self, info: u8) -> Option<u64> {
        let length = match info {
            0..=23 => return Some(u64::from(info)),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return None,
        };
        let bytes = self.take(length)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    /// Returns how many items follow; the inner `None` means that a break ends them.
    fn count(&mut self, info: u8) -> Option<Option<u64>> {
        if info == 31 {
            return Some(None);
        }
        self.argument(info).map(Some)
    }

    fn more(&mut self, left: &mut Option<u64>) -> Option<bool> {
        match left {
            Some(0) => Some(false),
            Some(count) => {
                *count -= 1;
                Some(true)
            }
            None if *self.bytes.first()? == BREAK => {
                self.byte()?;
                Some(false)
            }
            None => Some(true),
        }
    }

    /// Reads a byte or text string, in one piece or in chunks of definite length.
    fn string(&mut self, major: u8, info: u8) -> Option<Vec<u8>> {
        if info != 31 {
            let length = usize::try_from(self.argument(info)?).ok()?;
            return Some(self.take(length)?.to_vec());
        }
        let mut all = Vec::new();
        loop {
            let head = self.byte()?;
            if head == BREAK {
                return Some(all);
            }
            if head >> 5 != major || head & 0x1f == 31 {
                return None;
            }
            let length = usize::try_from(self.argument(head & 0x1f)?).ok()?;
            all.extend_from_slice(self.take(length)?);
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }
}

/// Converts IEEE 754 half precision.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// Writes a value. The shape distinguishes timestamps from other numbers.
pub(crate) fn write(shape: Option<&Shape>, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(shape, value, &mut out);
    out
}

fn put(shape: Option<&Shape>, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
        Value::Number(number) => {
            let timestamp = shape.is_some_and(|shape| shape.r#type == Kind::Timestamp);
            if timestamp {
                head(6, 1, out);
            }
            match number.as_u64().filter(|_| !timestamp) {
                Some(value) => head(0, value, out),
                None => {
                    out.push(0xfb);
                    let value = number.as_f64().unwrap_or_default();
                    out.extend_from_slice(&value.to_be_bytes());
                }
            }
        }
        Value::String(text) => {
            head(3, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            let member = shape
                .and_then(|shape| shape.member.as_deref())
                .map(|name| MODEL.shape(name));
            head(4, items.len() as u64, out);
            items.iter().for_each(|item| put(member, item, out));
        }
        Value::Object(members) => {
            head(5, members.len() as u64, out);
            for (name, value) in members {
                put(None, &Value::from(name.as_str()), out);
                let member = shape
                    .and_then(|shape| shape.members.get(name))
                    .map(|name| MODEL.shape(name));
                put(member, value, out);
            }
        }
    }
}

fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let bytes = argument.to_be_bytes();
    let (info, skip) = match argument {
        0..=23 => (argument as u8, 8),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[skip..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_written_value_can_be_read_again() {
        let value = json!({"a": [1, 24, 70000, true, null, "ü"], "b": {"c": 1.5}});
        assert_eq!(read(&write(None, &value)), Some(value));
    }

    #[test]
    fn indefinite_lengths_and_bytes_are_read() {
        let bytes = b"\xbf\x61a\x5f\x42hi\x41!\xff\x61b\x9f\x20\xff\xff";
        assert_eq!(read(bytes), Some(json!({"a": "aGkh", "b": [-1]})));
    }

    #[test]
    fn broken_input_is_refused_without_a_panic() {
        for bytes in [
            &b"\xa1"[..],
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x9f",
            b"\x00\x00",
            b"\xa1\x01\x01",
        ] {
            assert_eq!(read(bytes), None);
        }
        assert_eq!(read(&[0x81; 5000]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            drop(read(&bytes));
        }
    }
}
