//! The attributes of the spans of calls, named by OpenTelemetry's semantic conventions where these have a name.

use http::Uri;
use opentelemetry::{
    KeyValue,
    trace::{SpanKind, Status},
};
use serde_json::Value as Json;

use windlass_engine::execute::Called;
use windlass_journal::EffectOutcome;
use windlass_world::{
    outside::shown_url,
    value::{Failure, Value},
};

/// The largest length of an error in a span, in bytes, because collectors drop spans that are too large.
const MOST_OF_AN_ERROR: usize = 1024;

/// Returns the attributes of a call and its result.
pub fn of_call(called: &Called) -> Vec<KeyValue> {
    let record = called.record;
    let mut attributes = vec![
        KeyValue::new("windlass.step", called.id.step.to_string()),
        KeyValue::new("windlass.call", record.function.clone()),
        KeyValue::new("windlass.call.position", i64::from(called.id.position.0)),
    ];
    match module_of(&record.function) {
        "http" => http(called, &mut attributes),
        "aws" => {
            attributes.push(KeyValue::new("rpc.system", "aws-api"));
            attributes.extend(text(&record.arguments, "service", "rpc.service"));
            attributes.extend(text(&record.arguments, "operation", "rpc.method"));
        }
        "pca" => {
            attributes.push(KeyValue::new("rpc.system", "aws-api"));
            attributes.push(KeyValue::new("rpc.service", "ACM PCA"));
        }
        "kube" => {
            attributes.extend(text(&record.arguments, "cluster", "k8s.cluster.name"));
            attributes.extend(text(&record.arguments, "namespace", "k8s.namespace.name"));
        }
        _ => {}
    }
    if let EffectOutcome::Failed(failure) = called.outcome {
        attributes.push(KeyValue::new("error.type", failure.code.clone()));
        let request = failure.request_id.clone();
        attributes.extend(request.map(|id| KeyValue::new("aws.request_id", id)));
    }
    attributes
}

/// Returns `Client` for calls to other machines, and `Internal` for others.
pub fn kind_of(function: &str) -> SpanKind {
    match module_of(function) {
        "http" | "aws" | "pca" | "kube" | "tls" => SpanKind::Client,
        _ => SpanKind::Internal,
    }
}

/// Returns the status of a call. The message of its failure contains no secrets of the run.
pub fn status_of(outcome: &EffectOutcome) -> Status {
    match outcome {
        EffectOutcome::Failed(Failure { message, .. }) => error(message),
        EffectOutcome::Done(_) | EffectOutcome::NotDone => Status::Unset,
    }
}

/// Returns the status for an error, cut to [`MOST_OF_AN_ERROR`].
pub fn error(message: &str) -> Status {
    let end = message.floor_char_boundary(MOST_OF_AN_ERROR);
    Status::error(message[..end].to_owned())
}

fn http(called: &Called, attributes: &mut Vec<KeyValue>) {
    let (function, arguments) = (&called.record.function, &called.record.arguments);
    let method = match function.rsplit("::").next().unwrap_or_default() {
        "request" => arguments["options"]["method"].as_str().map(str::to_owned),
        name => Some(name.to_ascii_uppercase()),
    };
    attributes.extend(method.map(|method| KeyValue::new("http.request.method", method)));
    if let Some(url) = arguments["url"].as_str() {
        // The query is left out, because it often contains a token.
        let url = shown_url(url);
        let uri = url.parse::<Uri>().ok();
        if let Some(host) = uri.as_ref().and_then(Uri::host) {
            attributes.push(KeyValue::new("server.address", host.to_owned()));
        }
        if let Some(port) = uri.as_ref().and_then(Uri::port_u16) {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
        attributes.push(KeyValue::new("url.full", url));
    }
    let status = match called.outcome {
        EffectOutcome::Done(Value::Map(answer)) => match answer.get("status") {
            Some(Value::Int(status)) => Some(*status),
            _ => None,
        },
        EffectOutcome::Failed(failure) => failure
            .code
            .strip_prefix("HTTP")
            .and_then(|n| n.parse().ok()),
        _ => None,
    };
    attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", status)));
}

fn module_of(function: &str) -> &str {
    function.split("::").next().unwrap_or_default()
}

fn text(arguments: &Json, argument: &str, attribute: &'static str) -> Option<KeyValue> {
    let text = arguments[argument].as_str()?;
    Some(KeyValue::new(attribute, text.to_owned()))
}
