//! Reverses a call by the one that the script gave as `undo`.

use std::collections::BTreeMap;

use super::{
    DEFAULT_TIMEOUT, marked_token, object,
    service::{explained, find},
    table::UNDO,
    with_key, with_param,
};
use crate::host::undo::{Done, Reversal, Reversed, WayBack};
use windlass_world::{
    outside::{AwsCall, Clients, aws::Described},
    value::Value,
};

/// The name of the call that an undo makes.
const UNDOING: &str = "aws::undo";

/// The call of an undo, as it is stored in the journal.
pub(super) struct Way {
    pub call: AwsCall,
    from_answer: BTreeMap<String, String>,
}

/// Refuses an option that an `undo` does not have.
pub(super) fn refuse_unknown(undo: &Value) -> Result<(), String> {
    let takes = |key: &str| key == "http" || UNDO.iter().any(|field| field.name == key);
    let mut keys = undo.as_map().into_iter().flat_map(|map| map.keys());
    match keys.find(|key| !takes(key)) {
        None => Ok(()),
        Some(key) => {
            let names: Vec<_> = UNDO.iter().map(|field| field.name).collect();
            Err(format!(
                "it has no option `{key}` (it takes {})",
                names.join(", ")
            ))
        }
    }
}

/// Returns the part of an `undo` that is stored until it is needed.
pub(super) fn kept_undo(service: &str, undo: &Value, described: &Option<Described>) -> Value {
    let mut kept = undo.as_map().cloned().unwrap_or_default();
    kept.insert("service".into(), service.into());
    if let Some(described) = described {
        let text = |text: &Option<String>| Value::from(text.clone());
        kept.insert(
            "described".into(),
            Value::map([
                ("protocol", described.protocol.as_str().into()),
                ("json_version", text(&described.json_version)),
                ("target_prefix", text(&described.target_prefix)),
                ("endpoint_prefix", text(&described.endpoint_prefix)),
                ("signing_name", text(&described.signing_name)),
            ]),
        );
    }
    Value::Map(kept)
}

impl Way {
    pub fn read(kept: &Value) -> Result<Self, String> {
        let text = |of: &Value, key: &str| of.field(key).and_then(Value::as_str).map(str::to_owned);
        let service_name = text(kept, "service").ok_or("it has no service")?;
        let operation = text(kept, "operation").ok_or("it needs `operation`")?;
        let described = kept.field("described").map(|of| Described {
            protocol: text(of, "protocol").unwrap_or_default(),
            json_version: text(of, "json_version"),
            target_prefix: text(of, "target_prefix"),
            endpoint_prefix: text(of, "endpoint_prefix"),
            signing_name: text(of, "signing_name"),
            // Earlier versions read it from `http`, which the row never had.
            http: text(kept, "request").or_else(|| text(kept, "http")),
        });
        let service = find(&service_name, &operation, &described)?;
        let params = match kept.field("params") {
            None | Some(Value::Null) => Value::map::<String>([]),
            Some(params) => params.clone(),
        };
        let from_answer = match kept.field("from_answer") {
            Some(Value::Map(paths)) => paths
                .iter()
                .map(|(name, path)| match path {
                    Value::String(path) => Ok((name.clone(), path.clone())),
                    other => Err(format!(
                        "`from_answer.{name}` is {}, not a path",
                        other.a_kind()
                    )),
                })
                .collect::<Result<_, _>>()?,
            _ => BTreeMap::new(),
        };
        let way = Self {
            call: AwsCall {
                service,
                operation,
                params,
                timeout: DEFAULT_TIMEOUT,
                // An undo may be repeated; the author declares that it is safe by giving one.
                is_repeatable: true,
                is_read: false,
            },
            from_answer,
        };
        let names = way.from_answer.keys();
        let whole = names.fold(way.call.clone(), |call, name| {
            with_param(&call, name, "answer".into())
        });
        whole.check().map_err(|unfit| explained(&whole, &unfit))?;
        Ok(way)
    }
}

/// Returns the value at a path of an answer: `Certificate.Arn`.
fn at<'v>(answer: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(answer, |value, key| match value {
        Value::List(items) => items.get(key.parse::<usize>().ok()?),
        other => other.field(key),
    })
}

/// Returns the reversal that makes the call which the script gave as `undo`.
pub(super) fn of_call(done: Done, clients: &Clients) -> Reversal {
    if *done.before == Value::Null {
        return Reversal::never(format!("{} has no `undo`", named(&done)));
    }
    let way = match Way::read(done.before) {
        Ok(way) => way,
        Err(why) => {
            let what = named(&done);
            return Reversal::never(format!("the `undo` of {what} can't be read: {why}"));
        }
    };
    let mut call = way.call;
    for (name, path) in &way.from_answer {
        let found = done.result.and_then(|answer| at(answer, path));
        let Some(value) = found.filter(|value| **value != Value::Null) else {
            let what = named(&done);
            return Reversal::never(format!(
                "the result of {what} has no `{path}`, which its `undo` needs"
            ));
        };
        call = with_param(&call, name, value.clone());
    }
    let what = object(&call);
    let (client, about) = (clients.aws.clone(), what.as_str().into());
    // The call is sent again if its answer is lost, so it carries its key wherever AWS takes one.
    let token = marked_token(&call.service, &call.operation);
    Reversal::By(WayBack::blind(what, UNDOING, about, move |key| {
        let (client, keyed) = (client.clone(), with_key(&call, token.as_deref(), &key));
        async move {
            match client.call(&keyed?).await {
                Ok(_) => Ok(Reversed::Done),
                Err(failure) if is_gone(&failure.code) => Ok(Reversed::Already(format!(
                    "it no longer exists ({})",
                    failure.code
                ))),
                Err(failure) => Err(failure),
            }
        }
    }))
}

/// Says whether an error means that the thing does not exist (any more).
fn is_gone(code: &str) -> bool {
    code.starts_with("NoSuch")
        || code.ends_with("NotFound")
        || code.ends_with("NotFoundException")
        || code.ends_with("NotFoundFault")
        || code == "NoSuchEntity"
}

fn named(done: &Done) -> String {
    let text = |key: &str| done.arguments.get(key).and_then(serde_json::Value::as_str);
    match (text("service"), text("operation")) {
        (Some(service), Some(operation)) => format!("{service}:{operation}"),
        _ => done.function.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_of_a_described_service_names_its_request() {
        let undo = Value::parse_json(
            r#"{"operation":"DeleteThing","request":"DELETE /v1/things/{Name}","params":{"Name":"a"}}"#,
        )
        .expect("JSON");
        let described = Described {
            protocol: "rest-json".into(),
            json_version: None,
            target_prefix: None,
            endpoint_prefix: None,
            signing_name: None,
            http: Some("POST /v1/things".into()),
        };
        assert_eq!(refuse_unknown(&undo), Ok(()));
        let kept = kept_undo("things", &undo, &Some(described));
        let way = Way::read(&kept).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(way.call.operation, "DeleteThing");
        let wrong = Value::parse_json(r#"{"operation":"x","reqest":"y"}"#).expect("JSON");
        let why = refuse_unknown(&wrong).expect_err("an unknown option");
        assert!(why.contains("no option `reqest`"), "{why}");
    }

    #[test]
    fn a_param_of_an_answer_is_found_by_its_path() {
        let answer = Value::parse_json(r#"{"a":{"b":[{"c":"x"}]}}"#).expect("JSON");
        assert_eq!(at(&answer, "a.b.0.c"), Some(&"x".into()));
        assert_eq!(at(&answer, "a.b.1.c"), None);
    }
}
