//! Checks an input against the model. As on AWS, the error lists all violations.

use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::wire::model::{Kind, MODEL, Shape};

/// Checks an operation's input. A wrong type is a serialization error, a wrong value a violation.
pub(crate) fn check(shape: &str, input: &Value) -> Result<(), Failure> {
    let mut violations = Vec::new();
    walk(MODEL.shape(shape), input, "", &mut violations)?;
    if violations.is_empty() {
        return Ok(());
    }
    let count = violations.len();
    let plural = if count == 1 { "error" } else { "errors" };
    let list = violations.join("; ");
    Err(Code::Validation.says(format!("{count} validation {plural} detected: {list}")))
}

/// Removes members that are not in the model, and nulls, which AWS treats as absent. So nothing else is ever stored, and
/// equivalent inputs are equal.
pub(crate) fn known(shape: &str, mut input: Value) -> Value {
    keep_known(MODEL.shape(shape), &mut input);
    input
}

fn keep_known(shape: &Shape, input: &mut Value) {
    match input {
        Value::Object(members) => members.retain(|name, value| {
            let Some(member) = shape.members.get(name).filter(|_| !value.is_null()) else {
                return false;
            };
            keep_known(MODEL.shape(member), value);
            true
        }),
        Value::Array(items) => {
            if let Some(member) = &shape.member {
                let member = MODEL.shape(member);
                items.iter_mut().for_each(|item| keep_known(member, item));
            }
        }
        _ => {}
    }
}

fn walk(
    shape: &Shape,
    value: &Value,
    path: &str,
    violations: &mut Vec<String>,
) -> Result<(), Failure> {
    match (shape.r#type, value) {
        (Kind::Structure, Value::Object(members)) => {
            for name in &shape.required {
                if members.get(name).is_none_or(Value::is_null) {
                    violations.push(format!(
                        "Value null at '{}' failed to satisfy constraint: Member must not be null",
                        below(path, name)
                    ));
                }
            }
            for (name, member) in &shape.members {
                if let Some(value) = members.get(name).filter(|value| !value.is_null()) {
                    walk(MODEL.shape(member), value, &below(path, name), violations)?;
                }
            }
            Ok(())
        }
        (Kind::List, Value::Array(items)) => {
            length(shape, items.len(), "size", "...", path, violations);
            let member = shape.member.as_deref().map(|name| MODEL.shape(name));
            for (index, item) in items.iter().enumerate() {
                if let Some(member) = member {
                    let path = format!("{path}.{}.member", index + 1);
                    walk(member, item, &path, violations)?;
                }
            }
            Ok(())
        }
        (Kind::String, Value::String(text)) => {
            string(shape, text, path, violations);
            Ok(())
        }
        (Kind::Blob, Value::String(text)) => {
            let bytes = data_encoding::BASE64
                .decode(text.as_bytes())
                .map_err(|_| mistyped(path))?;
            let shown = "java.nio.HeapByteBuffer";
            length(shape, bytes.len(), "length", shown, path, violations);
            Ok(())
        }
        (Kind::Boolean, Value::Bool(_)) => Ok(()),
        (Kind::Integer | Kind::Long, Value::Number(number)) => {
            let value = number.as_i64().ok_or_else(|| mistyped(path))?;
            if shape.r#type == Kind::Integer && i32::try_from(value).is_err() {
                return Err(mistyped(path));
            }
            limits(shape, value, "value", &number.to_string(), path, violations);
            Ok(())
        }
        _ => Err(mistyped(path)),
    }
}

fn string(shape: &Shape, text: &str, path: &str, violations: &mut Vec<String>) {
    if !shape.values.is_empty() && !shape.values.iter().any(|value| value == text) {
        let set = shape.values.join(", ");
        violations.push(violation(
            text,
            path,
            &format!("Member must satisfy enum value set: [{set}]"),
        ));
    }
    // AWS counts UTF-16 code units.
    let units = text.encode_utf16().count();
    length(shape, units, "length", text, path, violations);
    if let Some(matcher) = &shape.matcher
        && !matcher.is_match(text)
    {
        let pattern = shape.pattern.as_deref().unwrap_or_default();
        violations.push(violation(
            text,
            path,
            &format!("Member must satisfy regular expression pattern: {pattern}"),
        ));
    }
}

fn length(
    shape: &Shape,
    length: usize,
    what: &str,
    shown: &str,
    path: &str,
    violations: &mut Vec<String>,
) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    limits(shape, length, what, shown, path, violations);
}

fn limits(
    shape: &Shape,
    measure: i64,
    what: &str,
    shown: &str,
    path: &str,
    violations: &mut Vec<String>,
) {
    if let Some(max) = shape.max.filter(|max| measure > *max) {
        let rule = format!("Member must have {what} less than or equal to {max}");
        violations.push(violation(shown, path, &rule));
    }
    if let Some(min) = shape.min.filter(|min| measure < *min) {
        let rule = format!("Member must have {what} greater than or equal to {min}");
        violations.push(violation(shown, path, &rule));
    }
}

fn violation(shown: &str, path: &str, rule: &str) -> String {
    format!("Value '{shown}' at '{path}' failed to satisfy constraint: {rule}")
}

/// Appends a member to a path. In errors, AWS writes members with a lower-case first letter.
fn below(path: &str, name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let name: String = first.into_iter().chain(letters).collect();
    if path.is_empty() {
        name
    } else {
        format!("{path}.{name}")
    }
}

fn mistyped(path: &str) -> Failure {
    let at = if path.is_empty() { "the input" } else { path };
    Code::Serialization.says(format!("The value at {at} has a type that can't be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_violations_are_listed_as_aws_writes_them() {
        let input = json!({
            "CertificateAuthorityType": "LEAF",
            "IdempotencyToken": "x".repeat(37),
            "Tags": [{}],
        });
        let failure = check("CreateCertificateAuthorityRequest", &input).unwrap_err();
        assert_eq!(failure.code, Code::Validation);
        assert_eq!(
            failure.message,
            format!(
                "4 validation errors detected: \
                 Value null at 'certificateAuthorityConfiguration' failed to satisfy constraint: Member must not be null; \
                 Value 'LEAF' at 'certificateAuthorityType' failed to satisfy constraint: Member must satisfy enum value set: [ROOT, SUBORDINATE]; \
                 Value '{}' at 'idempotencyToken' failed to satisfy constraint: Member must have length less than or equal to 36; \
                 Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null",
                "x".repeat(37)
            )
        );
        let input = json!({"Tags": [{"Key": "a", "Value": null, "x": 1}], "y": {}});
        assert_eq!(
            known("TagCertificateAuthorityRequest", input),
            json!({"Tags": [{"Key": "a"}]})
        );
        let wrong = check(
            "DescribeCertificateAuthorityRequest",
            &json!({"CertificateAuthorityArn": 5}),
        );
        assert_eq!(wrong.unwrap_err().code, Code::Serialization);
    }
}
