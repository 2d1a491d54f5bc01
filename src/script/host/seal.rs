use super::{
    aws,
    function::{Parameter, ScriptType, ValueKind},
    table::caller,
};
use crate::secrecy::{SECRET_OUTPUT, SecretOutput};
use windlass_world::{
    outside::{Named, Resource, from_object},
    value::Value,
};

/// Makes an answer secret where the function's client would: used when a test, or a person who answers a doubt, gives the answer. The
/// row of the function and the recorded options say what is secret. `record` holds the arguments as in the journal.
pub fn sealed_answer(call: &str, record: &Value, answer: Value) -> Value {
    // The calls of undos have no row, and return nothing to a script.
    let Some(row) = caller(call) else {
        return answer;
    };
    let options = record.field("options").unwrap_or(record);
    // The option was valid when it was recorded. If it can't be read now, the whole answer is secret.
    let secret = SecretOutput::read(options.field(SECRET_OUTPUT), |_| true);
    let secret = secret.unwrap_or(SecretOutput::All);
    match row.module() {
        "aws" => secret.sealed(aws::sealed(record, answer)),
        "kube" => sealed_objects(record, sealed(&row.gives.kind, answer)),
        _ => secret.sealed_answer(sealed(&row.gives.kind, answer)),
    }
}

/// Makes the contents of Secrets secret, as the client does for the objects that it reads. An answer that leaves out its kind has the
/// one that the call is about.
fn sealed_objects(record: &Value, answer: Value) -> Value {
    let text = |key: &str| record.field(key).and_then(Value::as_str);
    let is_about_secrets = match (text("kind"), text("object")) {
        (Some(kind), _) => Resource::known(kind).is_some_and(|kind| kind.is_secret()),
        (None, Some(object)) => {
            let object = object.split(' ').next().unwrap_or_default();
            Named::parse("", object).is_ok_and(|named| named.is_secret())
        }
        (None, None) => false,
    };
    match answer {
        Value::List(items) => {
            let items = items.into_iter();
            Value::List(
                items
                    .map(|item| sealed_object(item, is_about_secrets))
                    .collect(),
            )
        }
        one => sealed_object(one, is_about_secrets),
    }
}

fn sealed_object(object: Value, is_about_secrets: bool) -> Value {
    let is_text = |key: &str, wanted: &str| {
        let given = object.field(key).and_then(Value::as_str);
        given.map_or(is_about_secrets, |given| given == wanted)
    };
    if object.as_map().is_none() || !is_text("kind", "Secret") || !is_text("apiVersion", "v1") {
        return object;
    }
    let mut json = object.reveal_json().unwrap_or_else(|_| object.to_json());
    json["kind"] = "Secret".into();
    json["apiVersion"] = "v1".into();
    let Value::Map(mut fields) = from_object(&json) else {
        return object;
    };
    // What the answer leaves out is not added.
    fields.retain(|key, _| object.field(key).is_some());
    Value::Map(fields)
}

fn sealed(kind: &ValueKind, value: Value) -> Value {
    match (kind, value) {
        (ValueKind::Secret, value) => value.tainted(),
        (ValueKind::Maybe(kind), value) => sealed(kind, value),
        (ValueKind::List(kind), Value::List(items)) => {
            Value::List(items.into_iter().map(|item| sealed(kind, item)).collect())
        }
        (ValueKind::Map(kind), Value::Map(map)) => {
            let entries = map.into_iter();
            Value::map(entries.map(|(key, item)| (key, sealed(kind, item))))
        }
        (ValueKind::Record(fields), Value::Map(map)) => {
            Value::map(map.into_iter().map(|(key, item)| {
                let field = fields.iter().find(|field| field.name == key);
                let item = match field {
                    Some(field) => sealed(&field.kind, item),
                    None => item,
                };
                (key, item)
            }))
        }
        (_, value) => value,
    }
}

/// Checks that a call can have returned what a person says. Nothing (`()`) is always accepted, for a script that does not use the
/// result, and so is a map that lacks some of its fields.
///
/// # Errors
/// What the function returns instead.
pub fn check_answer(call: &str, answer: &Value) -> Result<(), String> {
    // The calls of undos have no row.
    let Some(row) = caller(call).filter(|_| *answer != Value::Null) else {
        return Ok(());
    };
    match misfit(&row.gives.kind, answer) {
        Some(why) => Err(format!("{call} returns {why}")),
        None => Ok(()),
    }
}

/// Says whether a call has no result, although its function returns one: a person said only that it was done.
pub fn lacks_result(call: &str, result: &Value) -> bool {
    use ValueKind::{Any, Either, Maybe, Nothing};
    let gives = caller(call).map(|row| row.gives.kind);
    let may_be_nothing = |kind| matches!(kind, Any | Either(_) | Maybe(_) | Nothing);
    *result == Value::Null && gives.is_some_and(|kind| !may_be_nothing(kind))
}

/// Says what a kind of values is, if a value is none of them.
fn misfit(kind: &ValueKind, value: &Value) -> Option<String> {
    match (kind, value) {
        (ValueKind::Any | ValueKind::Closure(_), _) | (ValueKind::Maybe(_), Value::Null) => None,
        (ValueKind::Maybe(kind), value) => misfit(kind, value),
        (ValueKind::Either(kinds), value) => {
            let all: Option<Vec<_>> = kinds.iter().map(|kind| misfit(kind, value)).collect();
            all?.into_iter().next()
        }
        (ValueKind::List(kind), Value::List(items)) => items
            .iter()
            .find_map(|item| misfit(kind, item))
            .map(|why| format!("a list of which each item is {why}")),
        (ValueKind::Map(kind), Value::Map(map)) => map
            .iter()
            .find_map(|(key, item)| Some((key, misfit(kind, item)?)))
            .map(|(key, why)| format!("a map whose `{key}` is {why}")),
        (ValueKind::Record(fields), Value::Map(map)) => {
            map.iter().find_map(
                |(key, item)| match fields.iter().find(|field| field.name == key) {
                    Some(field) => {
                        let why = misfit(&field.kind, item)?;
                        Some(format!("a map whose `{key}` is {why}"))
                    }
                    None => Some(format!("a map with {}, without `{key}`", names(fields))),
                },
            )
        }
        (kind, value) => match (kind.script_type(), value) {
            (ScriptType::Bool, Value::Bool(_))
            | (ScriptType::Int | ScriptType::Float, Value::Int(_))
            | (ScriptType::Float, Value::Float(_))
            | (ScriptType::Text | ScriptType::Secret | ScriptType::Bytes, Value::String(_))
            | (ScriptType::List, Value::List(_))
            | (ScriptType::Map, Value::Map(_))
            | (ScriptType::Nothing, Value::Null) => None,
            (wanted, value) => Some(match (kind, value) {
                (ValueKind::Record(fields), value) => {
                    format!("a map with {}, not {}", names(fields), value.a_kind())
                }
                (_, value) => format!("{}, not {}", wanted.a_value(), value.a_kind()),
            }),
        },
    }
}

fn names(fields: &[Parameter]) -> String {
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_the_function_returns() {
        let check = |call: &str, answer: &str| {
            check_answer(call, &Value::parse_json(answer).expect("JSON"))
        };
        for (call, answer) in [
            ("http::post", "null"),
            ("http::post", r#"{"status":201,"json":{"id":7}}"#),
            ("exec::run", r#"{"code":0,"stdout":"x"}"#),
            ("file::write", r#""/out/x""#),
            ("secret::read", r#""s""#),
            ("kube::find", "null"),
            ("undo::of_nothing", "5"),
        ] {
            assert_eq!(check(call, answer), Ok(()), "{call} {answer}");
        }
        for (call, answer, wanted) in [
            ("http::post", "5", "not an int"),
            ("exec::run", r#""x""#, "returns a map with code, stdout,"),
            ("exec::run", r#"{"out":"x"}"#, "without `out`"),
            (
                "exec::run",
                r#"{"code":"x"}"#,
                "whose `code` is an int, not a string",
            ),
            ("file::write", "[1]", "returns a string, not a list"),
        ] {
            let why = check(call, answer).expect_err(answer);
            assert!(why.contains(wanted), "{call} {answer}: {why}");
        }
        assert!(lacks_result("http::post", &Value::Null));
        assert!(!lacks_result("kube::find", &Value::Null));
        assert!(!lacks_result("http::post", &Value::Int(1)));
    }

    fn shown(call: &str, record: &str, answer: &str) -> String {
        let read = |text: &str| Value::parse_json(text).expect("JSON");
        sealed_answer(call, &read(record), read(answer)).to_string()
    }

    #[test]
    fn what_a_function_gives_as_a_secret_is_one_in_every_answer() {
        for (call, record, answer, wanted) in [
            ("secret::read", "\"ssm:/a\"", "\"s\"", "\"‹secret›\""),
            (
                "http::post",
                r#"{"url":"u","options":{"secret_output":true}}"#,
                r#"{"status":201,"body":"s"}"#,
                r#"{"body":"‹secret›","status":201}"#,
            ),
            (
                "http::post",
                r#"{"url":"u","options":{}}"#,
                r#"{"status":201,"body":"s"}"#,
                r#"{"body":"s","status":201}"#,
            ),
            (
                "exec::run",
                r#"{"program":"p","options":{"secret_output":true}}"#,
                "\"s\"",
                "\"‹secret›\"",
            ),
            (
                "aws::request",
                r#"{"service":"iam","operation":"CreateAccessKey","options":{}}"#,
                r#"{"AccessKey":{"AccessKeyId":"AKIA","SecretAccessKey":"s"}}"#,
                r#"{"AccessKey":{"AccessKeyId":"AKIA","SecretAccessKey":"‹secret›"}}"#,
            ),
            (
                "aws::request",
                r#"{"service":"nonsense","operation":"X","options":{"secret_output":true}}"#,
                r#"{"status":"s"}"#,
                r#"{"status":"‹secret›"}"#,
            ),
            (
                "aws::request",
                r#"{"service":"iam","operation":"CreateAccessKey","options":{"secret_output":["AccessKey.UserName"]}}"#,
                r#"{"AccessKey":{"AccessKeyId":"AKIA","SecretAccessKey":"s","UserName":"u"}}"#,
                r#"{"AccessKey":{"AccessKeyId":"AKIA","SecretAccessKey":"‹secret›","UserName":"‹secret›"}}"#,
            ),
            (
                "exec::run",
                r#"{"program":"p","options":{"secret_output":["stdout"]}}"#,
                r#"{"code":0,"stdout":"s","stderr":"e"}"#,
                r#"{"code":0,"stderr":"e","stdout":"‹secret›"}"#,
            ),
            ("http::undo", "\"PUT u\"", "{}", "{}"),
            (
                "kube::get",
                r#"{"cluster":"c","object":"secret/x in d"}"#,
                r#"{"data":{"a":"eA=="}}"#,
                r#"{"data":{"a":"‹secret›"}}"#,
            ),
            (
                "kube::list",
                r#"{"cluster":"c","namespace":"","kind":"secrets"}"#,
                r#"[{"apiVersion":"v1","kind":"Secret","data":{"a":"eA=="}}]"#,
                r#"[{"apiVersion":"v1","data":{"a":"‹secret›"},"kind":"Secret"}]"#,
            ),
            (
                "kube::find",
                r#"{"cluster":"c","object":"configmap/x in d"}"#,
                r#"{"data":{"a":"x"}}"#,
                r#"{"data":{"a":"x"}}"#,
            ),
        ] {
            assert_eq!(shown(call, record, answer), wanted, "{call} {record}");
        }
    }
}
