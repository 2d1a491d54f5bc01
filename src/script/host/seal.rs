use super::{aws, function::ValueKind, table::caller};
use crate::secrecy::{SECRET_OUTPUT, SecretOutput};
use windlass_world::value::Value;

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
        _ => secret.sealed_answer(sealed(&row.gives.kind, answer)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(shown(call, record, answer), wanted, "{call} {record}");
        }
    }
}
