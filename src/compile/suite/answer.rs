//! Checks the answer of a test against the result type of the function, and completes it.
//!
//! An answer is stored as the call's record, which can differ from what a script sees: the record of an HTTP answer is the
//! body's text, and `json` is derived from it.

use windlass_script::{
    Function, Need, Parameter, ScriptType, ValueKind, closest, did_you_mean, function,
};
use windlass_world::value::{Secret, Value, parse_duration};

/// The reason why an answer does not match its function.
pub struct Misfit {
    /// The message, to be put after the function's name.
    pub message: String,
    pub help: Option<String>,
    /// The result that the function has.
    pub expected: String,
}

/// Fields of an answer that scripts read but records do not contain.
const DERIVED: [&str; 4] = ["body_bytes", "json", "stderr_bytes", "stdout_bytes"];

/// Completes the result that a test gives for a function.
///
/// # Errors
/// Another type than the function's, an unknown field, or null for a function with a result.
pub fn complete(row: &Function, given: Option<Value>) -> Result<Value, Misfit> {
    let kind = &row.gives.kind;
    if row.name == REPLACED && given.as_ref().is_some_and(|given| *given != Value::Int(0)) {
        let why = "can only be answered with 0, because there are no pods to evict".into();
        return Err(misfit(
            row,
            why,
            Some("evictions need `target: local`".into()),
        ));
    }
    let Some(given) = given else {
        return default_of(row).ok_or_else(|| misfit(row, "needs an answer".into(), None));
    };
    if matches!(kind, ValueKind::Nothing) {
        return match given {
            Value::Null => Ok(nothing_of(row)),
            _ => Err(misfit(
                row,
                "has no result".into(),
                Some("remove `gives`".into()),
            )),
        };
    }
    // The object may not exist yet: its condition gets `()`.
    if row.name == AWAITED && given == Value::Null {
        return Ok(Value::Null);
    }
    if given.field("json").is_some() && given.field("body").is_some() && has_body(kind) {
        let why = "returns `json` from its `body`, so only one of them can be given".into();
        return Err(misfit(row, why, None));
    }
    let value = fitted(kind, given, "").map_err(|(why, help)| misfit(row, why, help))?;
    Ok(match () {
        () if matches!(row.name, REPLACED | RESTARTED) => Value::Null,
        () if has_body(kind) => recorded(value),
        () => value,
    })
}

/// Returns the result of a function if a test does not give one; `None` if the test must give it.
pub fn default_of(row: &Function) -> Option<Value> {
    match row.gives.kind {
        ValueKind::Nothing => Some(nothing_of(row)),
        _ if matches!(row.name, REPLACED | RESTARTED) => Some(Value::Null),
        ValueKind::Record(_) if has_body(&row.gives.kind) => {
            complete(row, Some(Value::map::<String>([]))).ok()
        }
        ValueKind::Maybe(_) => Some(Value::Null),
        _ => None,
    }
}

/// Its loop looks for pods to evict until there are none, so its last record is null.
const REPLACED: &str = "kube::replace_pods";
/// Reads an object until a condition holds.
const AWAITED: &str = "kube::wait_until";
/// Returns a time, which is an effect of its own.
const RESTARTED: &str = "kube::restart";

/// Returns the result that a test gives for the record of a call: the inverse of `complete`. `None` if the test need
/// not give one.
pub fn answer_of(name: &str, record: Value) -> Option<Value> {
    let row = function(name)?;
    if default_of(row).is_some_and(|usual| usual == record)
        || matches!(row.gives.kind, ValueKind::Nothing)
    {
        return None;
    }
    let (true, Value::Map(mut fields)) = (has_body(&row.gives.kind), record.clone()) else {
        return Some(record);
    };
    // Scripts mostly read the other fields; headers contain dates and server names.
    fields.remove("headers");
    fields.remove("secret_parts");
    if let Some(json) = fields
        .get("body")
        .and_then(Value::as_str)
        .and_then(|body| Value::parse_json(body).ok())
    {
        fields.remove("body");
        fields.insert("json".into(), json);
    }
    fields.retain(|_, value| *value != Value::from(""));
    Some(Value::Map(fields))
}

/// Returns the result of an undo's call.
pub fn reversed() -> Value {
    Value::map([("undo", "reversed".into())])
}

/// Returns the record of a call without a result for its script.
fn nothing_of(row: &Function) -> Value {
    match row.name {
        // The look that sees the end of a rollout returns this.
        "kube::wait_rollout" | "kube::wait_rollouts" => true.into(),
        _ => Value::Null,
    }
}

fn misfit(row: &Function, message: String, help: Option<String>) -> Misfit {
    let kind = &row.gives.kind;
    let expected = match (row.gives.about, kind) {
        ("", ValueKind::Record(fields)) => {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            format!("a map with {}", names.join(", "))
        }
        ("", kind) => kind.to_string(),
        (about, kind) => format!("{kind} ({about})"),
    };
    Misfit {
        message,
        help,
        expected,
    }
}

/// Says whether it is the answer of a server or a program.
fn has_body(kind: &ValueKind) -> bool {
    let ValueKind::Record(fields) = kind else {
        return false;
    };
    fields
        .iter()
        .any(|field| matches!(field.name, "body" | "stdout"))
}

/// Converts the value to this kind, and adds missing fields of a map.
fn fitted(kind: &ValueKind, value: Value, at: &str) -> Result<Value, (String, Option<String>)> {
    let wrong = |value: &Value| {
        let place = match at {
            "" => String::new(),
            at => format!(": `{at}`"),
        };
        Err((
            format!("returns {kind}, not {}{place}", value.a_kind()),
            None,
        ))
    };
    match (kind, value) {
        (ValueKind::Any, value) => Ok(value),
        (ValueKind::Maybe(_), Value::Null) => Ok(Value::Null),
        (ValueKind::Maybe(kind), value) => fitted(kind, value, at),
        (ValueKind::Either(kinds), value) => {
            let found = kinds
                .iter()
                .find_map(|kind| fitted(kind, value.clone(), at).ok());
            found.map_or_else(|| wrong(&value), Ok)
        }
        (ValueKind::Bool, value @ Value::Bool(_))
        | (ValueKind::Int | ValueKind::Between(..), value @ Value::Int(_))
        | (ValueKind::Float, value @ (Value::Float(_) | Value::Int(_)))
        | (ValueKind::Nothing, value @ Value::Null) => Ok(value),
        (ValueKind::Secret, Value::String(text)) => Ok(Value::Secret(Secret::new(text))),
        (ValueKind::Duration, Value::String(text)) if parse_duration(&text).is_err() => Err((
            format!("returns a duration, but `{text}` is not a valid duration"),
            None,
        )),
        (ValueKind::Word(words), Value::String(text)) if !words.contains(&&*text) => {
            let help = closest(&text, words.iter().copied());
            Err((
                format!("returns {kind}, not `{text}`"),
                help.map(did_you_mean),
            ))
        }
        (ValueKind::List(kind), Value::List(items)) => {
            let items = items.into_iter().enumerate();
            let items = items.map(|(i, item)| fitted(kind, item, &format!("{at}[{i}]")));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        (ValueKind::Map(kind), Value::Map(map)) => {
            let entries = map.into_iter().map(|(key, value)| {
                let place = joined(at, &key);
                Ok((key, fitted(kind, value, &place)?))
            });
            Ok(Value::Map(entries.collect::<Result<_, _>>()?))
        }
        (ValueKind::Record(fields), Value::Map(mut map)) => {
            let unknown = map
                .keys()
                .find(|key| !fields.iter().any(|field| field.name == **key));
            if let Some(key) = unknown {
                let names = || fields.iter().map(|field| field.name);
                let help = match closest(key, names()) {
                    Some(near) => did_you_mean(near),
                    None => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
                };
                return Err((format!("returns no `{}`", joined(at, key)), Some(help)));
            }
            for field in *fields {
                let given = map.remove(field.name);
                let is_derived = DERIVED.contains(&field.name);
                let value = match given {
                    // A record has it even where it is nothing.
                    Some(Value::Null) if field.need != Need::Required => Value::Null,
                    Some(value) => fitted(&field.kind, value, &joined(at, field.name))?,
                    None if is_derived || field.need != Need::Required => continue,
                    None => empty(field),
                };
                map.insert(field.name.into(), value);
            }
            Ok(Value::Map(map))
        }
        (ValueKind::Tags | ValueKind::Subject | ValueKind::Manifest, value @ Value::Map(_)) => {
            Ok(value)
        }
        (kind, value @ Value::String(_)) if kind.script_type() == ScriptType::Text => Ok(value),
        (_, value) => wrong(&value),
    }
}

fn joined(at: &str, key: &str) -> String {
    match at {
        "" => key.to_owned(),
        at => format!("{at}.{key}"),
    }
}

/// Returns the value of a field that a test leaves out.
fn empty(field: &Parameter) -> Value {
    match field.kind {
        // The status of an HTTP answer.
        ValueKind::Int if field.name == "status" => Value::Int(200),
        ValueKind::Int => Value::Int(0),
        ValueKind::Between(first, _) => Value::Int(first),
        ValueKind::Float => Value::Float(0.0),
        ValueKind::Bool => false.into(),
        ValueKind::List(_) => Value::List(Vec::new()),
        ValueKind::Map(_) | ValueKind::Record(_) | ValueKind::Tags | ValueKind::Subject => {
            Value::map::<String>([])
        }
        ValueKind::Text => "".into(),
        _ => Value::Null,
    }
}

/// Returns an answer with a body in the form of the journal.
fn recorded(value: Value) -> Value {
    let Value::Map(mut map) = value else {
        return value;
    };
    if let Some(Value::Map(headers)) = map.get_mut("headers") {
        let given = std::mem::take(headers).into_iter();
        *headers = given
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
    }
    if let Some(json) = map.remove("json") {
        let headers = map
            .entry("headers".into())
            .or_insert_with(|| Value::map::<String>([]));
        if let Value::Map(headers) = headers {
            headers
                .entry("content-type".into())
                .or_insert_with(|| "application/json".into());
        }
        // A test file contains no secrets.
        let body = json.reveal_json().unwrap_or_else(|_| json.to_json());
        map.insert("body".into(), body.to_string().into());
    }
    Value::Map(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, json: &str) -> Result<String, String> {
        let row = function(name).expect("a function");
        let value = Value::parse_json(json).expect("JSON");
        match complete(row, Some(value)) {
            Ok(value) => Ok(value.to_string()),
            Err(why) => Err(format!(
                "{} / {}",
                why.message,
                why.help.unwrap_or_default()
            )),
        }
    }

    #[test]
    fn an_answer_is_completed_to_the_record_of_its_call() {
        assert_eq!(
            given("http::get", r#"{"json": {"healthy": true}}"#).as_deref(),
            Ok(
                r#"{"body":"{\"healthy\":true}","headers":{"content-type":"application/json"},"status":200}"#
            )
        );
        assert_eq!(
            given(
                "http::get",
                r#"{"headers": {"Location": "/x"}, "body": "y"}"#
            )
            .as_deref(),
            Ok(r#"{"body":"y","headers":{"location":"/x"},"status":200}"#)
        );
        assert_eq!(
            given("exec::run", r#"{"stdout": "1.2\n"}"#).as_deref(),
            Ok(r#"{"code":0,"stderr":"","stdout":"1.2\n"}"#)
        );
        assert_eq!(given("kube::wait_rollout", "null").as_deref(), Ok("true"));
        assert_eq!(given("kube::wait_until", "null").as_deref(), Ok("null"));
        assert_eq!(
            given("key::generate", "\"x\"").as_deref(),
            Ok("\"‹secret›\"")
        );
        assert_eq!(
            given("kube::restart", "\"2026-01-31T12:00:00Z\"").as_deref(),
            Ok("null")
        );
    }

    #[test]
    fn an_answer_of_another_type_is_refused() {
        assert_eq!(
            given("http::get", r#"{"state": 1}"#),
            Err("returns no `state` / did you mean `status`?".into())
        );
        assert_eq!(
            given("http::get", r#"{"body": "1", "json": 2}"#),
            Err("returns `json` from its `body`, so only one of them can be given / ".into())
        );
        assert_eq!(
            given("http::get", r#"{"status": "ok"}"#),
            Err("returns int, not a string: `status` / ".into())
        );
        assert_eq!(
            given("file::exists", "1"),
            Err("returns bool, not an int / ".into())
        );
        assert_eq!(
            given("kube::delete", "1"),
            Err("has no result / remove `gives`".into())
        );
        let missing = complete(function("kube::get").expect("a function"), None);
        assert_eq!(
            missing.err().map(|why| why.expected).as_deref(),
            Some("map(any) (the object; the data of a Secret are secrets)")
        );
    }
}
