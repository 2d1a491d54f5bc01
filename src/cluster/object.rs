//! Reads and writes the fields that all objects have.

use serde_json::{Map, Value as Json, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use windlass_ground::random_bytes;

/// Milliseconds since 1970.
pub type Moment = i64;

pub(crate) fn now() -> Moment {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

/// Writes a time as Kubernetes does: RFC 3339, in whole seconds.
pub fn timestamp(at: Moment) -> String {
    OffsetDateTime::from_unix_timestamp(at / 1000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Reads a time that [`timestamp`] wrote.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(at.unix_timestamp() * 1000)
}

pub(crate) fn text<'a>(object: &'a Json, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

pub(crate) fn number(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

pub(crate) fn items<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object
        .pointer(pointer)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(crate) fn name(object: &Json) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

/// Returns the namespace, which is empty for objects without one.
pub(crate) fn namespace(object: &Json) -> &str {
    text(object, "/metadata/namespace").unwrap_or_default()
}

pub(crate) fn uid(object: &Json) -> &str {
    text(object, "/metadata/uid").unwrap_or_default()
}

pub(crate) fn annotation<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Returns the UID of the controller that owns an object.
pub(crate) fn controller(object: &Json) -> Option<&str> {
    let owner = items(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner["controller"] == true)?;
    owner["uid"].as_str()
}

/// Returns the object under a key, which is created if it is missing.
pub(crate) fn child<'a>(object: &'a mut Json, key: &str) -> &'a mut Map<String, Json> {
    if !object.is_object() {
        *object = json!({});
    }
    let inner = &mut object[key];
    if !inner.is_object() {
        *inner = json!({});
    }
    match inner {
        Json::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

pub(crate) fn metadata(object: &mut Json) -> &mut Map<String, Json> {
    child(object, "metadata")
}

/// Returns a random version 4 UUID (RFC 9562).
pub(crate) fn new_uid() -> String {
    uuid::Builder::from_random_bytes(random::<16>())
        .into_uuid()
        .to_string()
}

/// The letters of generated names in Kubernetes: no vowels, and none that is easily confused with another.
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(crate) fn suffix() -> String {
    letters(&random::<5>())
}

/// Returns a short name derived from a content; the same content gives the same name.
pub(crate) fn hash(content: &Json, length: usize) -> String {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.to_string().as_bytes());
    letters(&digest.as_ref()[..length])
}

fn letters(bytes: &[u8]) -> String {
    let letter = |byte: &u8| char::from(NAME_LETTERS[usize::from(*byte) % NAME_LETTERS.len()]);
    bytes.iter().map(letter).collect()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random_bytes(&mut bytes).expect("the system provides random bytes");
    bytes
}
