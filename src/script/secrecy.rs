//! The option `secret_output`: which parts of a call's result are secret.

use std::collections::BTreeMap;

use windlass_world::value::Value;

/// The name of the option.
pub(super) const SECRET_OUTPUT: &str = "secret_output";
/// The field of a recorded HTTP answer that lists the secret parts of its JSON. The whole body is a secret too, because it
/// contains them.
pub(super) const PARTS: &str = "secret_parts";
/// The fields of a secret answer that stay readable: whether the call succeeded is not a secret.
const PLAIN: [&str; 2] = ["status", "code"];

/// How much of a result is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum SecretOutput {
    #[default]
    Nothing,
    All,
    /// The values at these paths, such as `json.access_token`. A path goes through every item of a list.
    Parts(Vec<String>),
}

impl SecretOutput {
    /// Reads the option. `is_part` says which paths the function allows.
    ///
    /// # Errors
    /// A description of the values that are allowed.
    pub fn read(given: Option<&Value>, is_part: fn(&str) -> bool) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{SECRET_OUTPUT}` must be true or a list of the secret parts, such as [\"json.token\"]"
            )
        };
        let items = match given {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(Self::Nothing),
            Some(Value::Bool(true)) => return Ok(Self::All),
            Some(Value::List(items)) if !items.is_empty() => items,
            Some(_) => return Err(wrong()),
        };
        let paths = items.iter().map(|item| match item {
            Value::String(path) if path.split('.').any(str::is_empty) => Err(wrong()),
            Value::String(path) if !is_part(path) => Err(format!(
                "`{SECRET_OUTPUT}` names the path `{path}`, which the result does not have; write a path such as `json.token`, \
                 `headers.set-cookie` or `stdout`"
            )),
            Value::String(path) => Ok(path.clone()),
            _ => Err(wrong()),
        });
        paths.collect::<Result<_, _>>().map(Self::Parts)
    }

    /// Says whether any part of the result is secret, so that an error must not quote it.
    pub fn hides(&self) -> bool {
        *self != Self::Nothing
    }

    /// Makes parts of a value secret. If a path does not exist, the whole value becomes secret: a secret in another place than the
    /// author expected must not stay readable.
    pub fn sealed(&self, value: Value) -> Value {
        let paths = match self {
            Self::Nothing => return value,
            Self::All => return value.tainted(),
            Self::Parts(paths) => paths,
        };
        let mut sealed = value.clone();
        let are_there = paths.iter().all(|path| seal_at(&mut sealed, path));
        if are_there { sealed } else { value.tainted() }
    }

    /// Makes parts of a recorded answer secret. The `json` of an answer is read from its `body` later.
    pub fn sealed_answer(&self, answer: Value) -> Value {
        let Value::Map(fields) = answer else {
            return match self {
                Self::Nothing => answer,
                _ => answer.tainted(),
            };
        };
        let whole = |fields: BTreeMap<String, Value>| {
            let fields = fields.into_iter();
            Value::map(fields.map(|(key, field)| {
                if PLAIN.contains(&key.as_str()) {
                    (key, field)
                } else {
                    (key, field.tainted())
                }
            }))
        };
        let paths = match self {
            Self::Nothing => return Value::Map(fields),
            Self::All => return whole(fields),
            Self::Parts(paths) => paths,
        };
        let mut sealed = Value::Map(fields.clone());
        let mut of_json = Vec::new();
        for path in paths {
            let is_there = match path.strip_prefix("json.") {
                Some(part) => {
                    of_json.push(Value::from(part));
                    seal_text(&mut sealed, "body")
                }
                None if path == "json" => seal_text(&mut sealed, "body"),
                None => match path.strip_prefix("headers.") {
                    Some(name) => seal_header(&mut sealed, name),
                    None => seal_text(&mut sealed, path),
                },
            };
            if !is_there {
                return whole(fields);
            }
        }
        let is_in_parts = !paths.iter().any(|path| path == "json" || path == "body");
        if let (Value::Map(fields), true, false) = (&mut sealed, is_in_parts, of_json.is_empty()) {
            fields.insert(PARTS.into(), Value::List(of_json));
        }
        sealed
    }
}

/// Says whether a path names a part of an HTTP answer.
pub(super) fn is_part_of_http(path: &str) -> bool {
    let first = path.split('.').next();
    matches!(first, Some("json" | "headers")) || path == "body"
}

/// Says whether a path names a part of a program's output.
pub(super) fn is_part_of_exec(path: &str) -> bool {
    matches!(path, "stdout" | "stderr")
}

/// Accepts any path: which parts exist is only known with the answer.
pub(super) fn is_part_of_aws(_: &str) -> bool {
    true
}

/// Makes the values at a path secret, in every item of a list on the way. Returns false if the path does not exist.
fn seal_at(value: &mut Value, path: &str) -> bool {
    match value {
        // Visits every item, even after a match. A list without items hides nothing.
        Value::List(items) => {
            let is_empty = items.is_empty();
            let found = items.iter_mut().map(|item| seal_at(item, path));
            found.fold(is_empty, |any, one| any | one)
        }
        // The whole value is a secret already.
        Value::Secret(_) => true,
        Value::Map(map) => {
            let (key, rest) = match path.split_once('.') {
                Some((key, rest)) => (key, Some(rest)),
                None => (path, None),
            };
            match (map.get_mut(key), rest) {
                (Some(inner), Some(rest)) => seal_at(inner, rest),
                (Some(inner), None) => {
                    *inner = std::mem::take(inner).tainted();
                    true
                }
                (None, _) => false,
            }
        }
        _ => false,
    }
}

/// Makes a text of an answer secret, or the bytes that it is recorded as.
fn seal_text(answer: &mut Value, name: &str) -> bool {
    seal_at(answer, name) || seal_at(answer, &format!("{name}_bytes"))
}

/// Seals a header; its name may be written in any case.
fn seal_header(answer: &mut Value, name: &str) -> bool {
    let Value::Map(fields) = answer else {
        return false;
    };
    let Some(Value::Map(headers)) = fields.get_mut("headers") else {
        return false;
    };
    let mut found = false;
    for (header, value) in headers {
        if header.eq_ignore_ascii_case(name) {
            *value = std::mem::take(value).tainted();
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(paths: &[&str]) -> SecretOutput {
        SecretOutput::Parts(paths.iter().map(|path| (*path).to_owned()).collect())
    }

    fn sealed(paths: &[&str], value: &str) -> String {
        let value = Value::parse_json(value).expect("JSON");
        parts(paths).sealed(value).to_string()
    }

    #[test]
    fn a_path_seals_what_it_leads_to_and_one_that_leads_nowhere_all() {
        let keys = r#"{"keys":[{"id":"a","secret":"x"},{"id":"b","secret":"y"}],"n":1}"#;
        assert_eq!(
            sealed(&["keys.secret"], keys),
            r#"{"keys":[{"id":"a","secret":"‹secret›"},{"id":"b","secret":"‹secret›"}],"n":1}"#
        );
        for misspelt in ["keys.secrte", "key.secret", "n.secret"] {
            assert!(
                !sealed(&["keys.secret", misspelt], keys).contains("\"a\""),
                "{misspelt}"
            );
        }
        assert_eq!(
            sealed(&["keys.secret"], r#"{"keys":[],"n":1}"#),
            r#"{"keys":[],"n":1}"#
        );
    }

    #[test]
    fn an_answer_keeps_its_text_secret_where_its_json_has_secret_parts() {
        let answer = |paths: &[&str]| {
            let answer = r#"{"status":200,"headers":{"set-cookie":"c","x":"y"},"body":"{\"id\":1,\"token\":\"t\"}"}"#;
            let answer = Value::parse_json(answer).expect("JSON");
            parts(paths).sealed_answer(answer).to_string()
        };
        assert_eq!(
            answer(&["json.token", "headers.Set-Cookie"]),
            r#"{"body":"‹secret›","headers":{"set-cookie":"‹secret›","x":"y"},"secret_parts":["token"],"status":200}"#
        );
        assert_eq!(
            answer(&["json.token", "body"]),
            r#"{"body":"‹secret›","headers":{"set-cookie":"c","x":"y"},"status":200}"#
        );
        assert_eq!(
            answer(&["headers.cookie"]),
            r#"{"body":"‹secret›","headers":{"set-cookie":"‹secret›","x":"‹secret›"},"status":200}"#
        );
    }

    #[test]
    fn what_the_option_is_not_is_refused() {
        let read = |text: &str, is_part| {
            let given = Value::parse_json(text).expect("JSON");
            SecretOutput::read(Some(&given), is_part)
        };
        assert_eq!(read("true", is_part_of_exec), Ok(SecretOutput::All));
        assert_eq!(read("false", is_part_of_exec), Ok(SecretOutput::Nothing));
        assert_eq!(
            read(r#"["stdout"]"#, is_part_of_exec),
            Ok(parts(&["stdout"]))
        );
        for (wrong, is_part) in [
            ("[]", is_part_of_aws as fn(&str) -> bool),
            ("\"token\"", is_part_of_aws),
            ("[1]", is_part_of_aws),
            (r#"["a..b"]"#, is_part_of_aws),
            (r#"["token"]"#, is_part_of_http),
            (r#"["code"]"#, is_part_of_exec),
        ] {
            assert!(read(wrong, is_part).is_err(), "{wrong}");
        }
    }
}
