//! Entries of a map that are not there, so that to read one is an error.
//!
//! Rhai reads `()` for an entry that a map does not have. A map of which that must not be true holds a mark with the messages, which
//! [`read`] finds.

use std::collections::BTreeMap;

use rhai::{Dynamic, EvalAltResult, EvalContext, Map, Position, Target};

use super::expression::{Absent, MISSING_NAME};
use windlass_world::value::Value;

/// The entry with the messages: no output can have this name.
const MARK: &str = "\0absent";
/// The name of the message about every entry that is not there.
const ANY: &str = "";

/// Adds the marks to `steps`.
pub(super) fn mark(steps: &Value, absent: &[Absent]) -> Value {
    let mut marked = steps.clone();
    for one in absent {
        if let Some(map) = map_at(&mut marked, &one.path) {
            let entry = map.entry(MARK.into());
            let messages = entry.or_insert_with(|| Value::Map(BTreeMap::new()));
            if let Value::Map(messages) = messages {
                let name = one.name.as_deref().unwrap_or(ANY);
                messages.insert(name.into(), one.message.as_str().into());
            }
        }
    }
    marked
}

fn map_at<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut BTreeMap<String, Value>> {
    let mut found = value;
    for name in path {
        let Value::Map(map) = found else { return None };
        found = map.get_mut(name)?;
    }
    match found {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

/// Removes the marks from what an expression made of whole maps.
pub(super) fn without_marks(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(without_marks).collect()),
        Value::Map(map) => {
            let unmarked = map.into_iter().filter(|(name, _)| name != MARK);
            Value::map(unmarked.map(|(name, item)| (name, without_marks(item))))
        }
        other => other,
    }
}

/// Reads an entry that a map does not have.
pub(super) fn read<'a>(
    map: &'a mut Map,
    name: &str,
    _: EvalContext,
) -> Result<Target<'a>, Box<EvalAltResult>> {
    let message = map.get(MARK).and_then(|messages| {
        let messages = messages.read_lock::<Map>()?;
        let message = messages.get(name).or_else(|| messages.get(ANY))?;
        Some(message.to_string().replace(MISSING_NAME, name))
    });
    match message {
        Some(message) => Err(EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into()),
        // As Rhai does for an assignment. The expression has its own copy of the map.
        None => map.entry(name.into()).or_insert(Dynamic::UNIT).try_into(),
    }
}
