//! Checks the params of a call against the service's model, before anything is sent.

use std::{collections::BTreeMap, fmt};

use super::{
    model::{Kind, Member, Operation, Service, Shape},
    read::is_plain_type,
    timestamp,
};
use crate::value::Value;

/// A param that does not match the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The place, such as `Tags[0].Key`; empty for the params as a whole.
    pub path: String,
    pub why: Misfit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// There is no such member; with those that exist.
    Unknown(Vec<String>),
    Missing,
    Wrong {
        expected: &'static str,
        found: String,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.why {
            Misfit::Unknown(_) => write!(f, "it has no param `{path}`"),
            Misfit::Missing => write!(f, "it needs the param `{path}`"),
            Misfit::Wrong { expected, found } if path.is_empty() => {
                write!(f, "the params are {found}, not {expected}")
            }
            Misfit::Wrong { expected, found } => {
                write!(f, "the param `{path}` is {found}, not {expected}")
            }
        }
    }
}

/// Checks the params of an operation. For a service that is only described, any JSON is valid.
///
/// # Errors
/// The first param that does not match.
pub fn check(service: &Service, operation: &Operation, params: &Value) -> Result<(), Unfit> {
    let wrong = |expected, found: String| Unfit {
        path: String::new(),
        why: Misfit::Wrong { expected, found },
    };
    let Value::Map(given) = params else {
        return Err(wrong("a map", params.a_kind().into()));
    };
    match &operation.input {
        Some(shape) => check_value(service, &Member::of_shape(shape), params, ""),
        None if service.is_described => params
            .check_sayable("JSON")
            .map_err(|why| wrong("JSON", why)),
        None => match given.keys().next() {
            Some(name) => Err(Unfit {
                path: name.clone(),
                why: Misfit::Unknown(Vec::new()),
            }),
            None => Ok(()),
        },
    }
}

fn check_value(service: &Service, member: &Member, value: &Value, path: &str) -> Result<(), Unfit> {
    let fits = match (&member.kind, value) {
        (Kind::Text, Value::String(_)) => Ok(()),
        (Kind::Text, Value::Secret(secret)) if secret.is_text() => Ok(()),
        // Some headers contain JSON.
        (Kind::Text, _) if member.is_json => Ok(()),
        (Kind::Int, Value::Int(_)) => Ok(()),
        (Kind::Float, Value::Int(_) | Value::Float(_)) => Ok(()),
        (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::Bytes, Value::Bytes(_) | Value::String(_) | Value::Secret(_)) => Ok(()),
        (Kind::Time, Value::Int(_) | Value::Float(_)) => Ok(()),
        (Kind::Time, Value::String(text)) if timestamp::parse(text).is_some() => Ok(()),
        (Kind::Shape(name), value) => return check_shape(service, name, value, path),
        (Kind::Text, _) => Err("a string"),
        (Kind::Int, _) => Err("an int"),
        (Kind::Float, _) => Err("a float"),
        (Kind::Bool, _) => Err("a bool"),
        (Kind::Bytes, _) => Err("bytes or a string"),
        (Kind::Time, _) => Err("a moment such as 2026-01-31T12:00:00Z"),
    };
    fits.map_err(|expected| wrong(path, expected, value))
}

fn wrong(path: &str, expected: &'static str, value: &Value) -> Unfit {
    Unfit {
        path: path.into(),
        why: Misfit::Wrong {
            expected,
            found: value.a_kind().into(),
        },
    }
}

fn check_shape(service: &Service, name: &str, value: &Value, path: &str) -> Result<(), Unfit> {
    let inner = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match (service.shape(name), value) {
        (
            Some(Shape::Structure {
                members, required, ..
            }),
            Value::Map(given),
        ) => {
            for (key, item) in given.iter().filter(|(_, item)| **item != Value::Null) {
                let Some(member) = members.get(key) else {
                    return Err(Unfit {
                        path: inner(key),
                        why: Misfit::Unknown(members.keys().cloned().collect()),
                    });
                };
                check_value(service, member, item, &inner(key))?;
            }
            let is_given = |key: &String| given.get(key).is_some_and(|item| *item != Value::Null);
            // The param that carries the call's key will be filled in.
            let is_filled = |key: &String| members.get(key).is_some_and(|member| member.is_token);
            match required
                .iter()
                .find(|key| !is_given(key) && !is_filled(key))
            {
                Some(missing) => Err(Unfit {
                    path: inner(missing),
                    why: Misfit::Missing,
                }),
                None => Ok(()),
            }
        }
        (Some(Shape::List { item }), Value::List(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, one)| check_value(service, item, one, &format!("{path}[{at}]"))),
        (Some(Shape::Map { value: item, .. }), Value::Map(map)) => map
            .iter()
            .try_for_each(|(key, one)| check_value(service, item, one, &inner(key))),
        (Some(Shape::List { .. }), other) => Err(wrong(path, "a list", other)),
        (_, other) => Err(wrong(path, "a map", other)),
    }
}

/// Returns the params for the record, with every sensitive one as a secret.
pub fn sealed(service: &Service, operation: &Operation, params: &Value) -> Value {
    match &operation.input {
        Some(shape) => seal(service, &Member::of_shape(shape), params.clone(), |_| false),
        None => params.clone(),
    }
}

/// Returns a result that did not come from AWS, with every sensitive member as a secret, as `read` does for an answer.
pub fn sealed_result(service: &Service, operation: &Operation, result: Value) -> Value {
    let is_plain = |map: &BTreeMap<String, Value>| {
        let kind = map.get("Type").and_then(Value::as_str);
        service.name == "ssm" && kind.is_some_and(is_plain_type)
    };
    match &operation.output {
        Some(shape) => seal(service, &Member::of_shape(shape), result, is_plain),
        None => result,
    }
}

/// Makes the members secret that the model marks. `is_plain` says for a structure that its `Value` is not secret, whatever the model says.
fn seal(
    service: &Service,
    member: &Member,
    value: Value,
    is_plain: impl Fn(&BTreeMap<String, Value>) -> bool + Copy,
) -> Value {
    if member.is_secret {
        return value.tainted();
    }
    match (service.shape_of(member), value) {
        (Some(Shape::Structure { members, .. }), Value::Map(map)) => {
            let keeps_value = is_plain(&map);
            Value::map(map.into_iter().map(|(key, item)| {
                let item = match members.get(&key) {
                    Some(_) if keeps_value && key == "Value" => item,
                    Some(member) => seal(service, member, item, is_plain),
                    None => item,
                };
                (key, item)
            }))
        }
        (Some(Shape::List { item }), Value::List(items)) => {
            let items = items.into_iter();
            Value::List(
                items
                    .map(|one| seal(service, item, one, is_plain))
                    .collect(),
            )
        }
        (Some(Shape::Map { value: item, .. }), Value::Map(map)) => {
            let entries = map.into_iter();
            Value::map(entries.map(|(key, one)| (key, seal(service, item, one, is_plain))))
        }
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::model::service, *};

    fn refusal(name: &str, operation: &str, json: &str) -> String {
        let service = service(name).expect("a model");
        let params = Value::parse_json(json).expect("JSON");
        match check(service, &service.operations[operation], &params) {
            Ok(()) => "fits".into(),
            Err(unfit) => unfit.to_string(),
        }
    }

    #[test]
    fn params_are_held_against_the_model() {
        for (name, operation, params, said) in [
            (
                "secretsmanager",
                "GetSecretValue",
                r#"{"SecretId":"a"}"#,
                "fits",
            ),
            (
                "secretsmanager",
                "GetSecretValue",
                "{}",
                "it needs the param `SecretId`",
            ),
            (
                "secretsmanager",
                "GetSecretValue",
                r#"{"SecretID":"a"}"#,
                "it has no param `SecretID`",
            ),
            (
                "secretsmanager",
                "CreateSecret",
                r#"{"Name":"a","Tags":[{"Key":1}]}"#,
                "the param `Tags[0].Key` is an int, not a string",
            ),
            (
                "route53",
                "ChangeResourceRecordSets",
                r#"{"HostedZoneId":"Z","ChangeBatch":{"Changes":[{"Action":"UPSERT"}]}}"#,
                "it needs the param `ChangeBatch.Changes[0].ResourceRecordSet`",
            ),
            (
                "sts",
                "GetCallerIdentity",
                r#"{"A":1}"#,
                "it has no param `A`",
            ),
            (
                "sts",
                "GetCallerIdentity",
                "[]",
                "the params are a list, not a map",
            ),
            // The param is required, and will be filled in.
            (
                "ecs",
                "ListTasks",
                r#"{"maxResults":"ten"}"#,
                "the param `maxResults` is a string, not an int",
            ),
        ] {
            assert_eq!(
                refusal(name, operation, params),
                said,
                "{name} {operation} {params}"
            );
        }
    }

    #[test]
    fn sensitive_params_are_sealed_in_the_record() {
        let service = service("secretsmanager").expect("a model");
        let params = Value::parse_json(r#"{"Name":"a","SecretString":"s3cret"}"#).expect("JSON");
        let sealed = sealed(service, &service.operations["CreateSecret"], &params);
        assert_eq!(
            sealed.to_json().to_string(),
            r#"{"Name":"a","SecretString":"‹secret›"}"#
        );
    }

    #[test]
    fn sensitive_results_are_sealed_as_those_of_an_answer() {
        let made = |name: &str, operation: &str, json: &str| {
            let service = service(name).expect("a model");
            let result = Value::parse_json(json).expect("JSON");
            let sealed = sealed_result(service, &service.operations[operation], result);
            sealed.to_json().to_string()
        };
        assert_eq!(
            made(
                "secretsmanager",
                "GetSecretValue",
                r#"{"Name":"a","SecretString":"s3cret"}"#
            ),
            r#"{"Name":"a","SecretString":"‹secret›"}"#
        );
        for (kind, shown) in [("SecureString", "‹secret›"), ("String", "v")] {
            let answer = format!(r#"{{"Parameter":{{"Type":"{kind}","Value":"v"}}}}"#);
            let made = made("ssm", "GetParameter", &answer);
            assert!(made.contains(&format!(r#""Value":"{shown}""#)), "{made}");
        }
    }
}
