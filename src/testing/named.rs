//! Returns the arguments of a call by the names of its function's parameters.

use std::collections::BTreeMap;

use crate::{
    compile::takes,
    script::{Need, ValueKind, function},
    value::Value,
};

/// Names the arguments of a call as `windlass explain` does. Most calls are recorded with these names; some record a single text,
/// and those of `kube` record the object together with its namespace.
pub fn named(called: &str, arguments: &Value) -> BTreeMap<String, Value> {
    let row = function(called);
    let mut names = BTreeMap::new();
    match arguments {
        Value::Null => {}
        Value::Map(map) => {
            for (key, value) in map {
                match value {
                    Value::Map(options) if key == "options" => names.extend(options.clone()),
                    value => {
                        names.insert(key.clone(), value.clone());
                    }
                }
            }
            // Calls that change a CA record its ARN as `ca`, regardless of the parameter's name.
            let takes = |name: &str| {
                row.is_some_and(|row| row.takes.iter().any(|field| field.name == name))
            };
            if !takes("ca")
                && takes("arn")
                && let Some(ca) = names.remove("ca")
            {
                names.insert("arn".into(), ca);
            }
        }
        // A call that waits for a certificate records the certificate's ARN, and not its first parameter, the CA.
        one => {
            let mut required = row.into_iter().flat_map(|row| row.takes);
            let last = required.rfind(|field| {
                field.need == Need::Required
                    && !matches!(field.kind, ValueKind::Closure(_) | ValueKind::Record(_))
            });
            names.insert(last.map_or("about", |field| field.name).into(), one.clone());
        }
    }
    if called == "aws::request" {
        // This describes the call for people, and repeats the service, the operation and the params.
        names.remove("object");
    }
    if let Some(Value::String(object)) = names.get("object").cloned()
        && called.starts_with("kube::")
    {
        name_object(called, &mut names, &object);
    }
    names
}

/// Takes `secret/x in y` apart, into the names that the function has for the parts.
fn name_object(called: &str, names: &mut BTreeMap<String, Value>, object: &str) {
    let (object, namespace) = object.split_once(" in ").unwrap_or((object, ""));
    let object = object.to_owned();
    names.remove("object");
    let name = object.split_once('/').map(|(_, name)| name.to_owned());
    let aliases = [
        ("namespace", Some(namespace.to_owned())),
        ("name", name),
        ("workload", Some(object.clone())),
        ("object", Some(object)),
    ];
    for (alias, text) in aliases {
        if let Some(text) = text.filter(|_| takes(called, alias)) {
            names.entry(alias.into()).or_insert_with(|| text.into());
        }
    }
}

/// Returns the request of an undo, which is recorded as a single text: `method` and `url` of `PUT https://…` (`http::undo`), `service` and
/// `operation` of `acm:DeleteCertificate …` (`aws::undo`).
pub fn request_of(called: &str, arguments: &Value) -> Option<BTreeMap<String, Value>> {
    let text = arguments.as_str();
    let pair = match called {
        "http::undo" => {
            let (method, url) = text?.split_once(' ')?;
            [("method", method), ("url", url)]
        }
        "aws::undo" => {
            let (service, rest) = text?.split_once(':')?;
            let operation = rest.split(' ').next().unwrap_or_default();
            [("service", service), ("operation", operation)]
        }
        _ => return None,
    };
    Some(pair.map(|(key, text)| (key.to_owned(), text.into())).into())
}

/// Returns another function with which a call matches: `http::undo` sends the request of `http::put`, `aws::undo` one of `aws::request`, and
/// `kube::replace_pods` uses `kube::pods` to look for pods that are older than a restart.
pub fn also_known(called: &str, arguments: &BTreeMap<String, Value>) -> Option<String> {
    match called {
        "http::undo" => {
            let method = arguments.get("method")?.as_str()?;
            Some(format!("http::{}", method.to_ascii_lowercase()))
        }
        "aws::undo" => Some("aws::request".into()),
        "kube::pods" if arguments.contains_key("restarted") => Some("kube::replace_pods".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(called: &str, arguments: &str) -> String {
        let arguments = Value::parse_json(arguments).expect("JSON");
        Value::Map(named(called, &arguments)).to_string()
    }

    #[test]
    fn arguments_have_the_names_of_the_table() {
        assert_eq!(
            shown(
                "http::put",
                r#"{"url": "u", "options": {"json": {"a": 1}}}"#
            ),
            r#"{"json":{"a":1},"url":"u"}"#
        );
        assert_eq!(
            shown("pca::get_certificate", r#""arn:x""#),
            r#"{"arn":"arn:x"}"#
        );
        assert_eq!(
            shown("key::generate", r#""RSA_2048""#),
            r#"{"algorithm":"RSA_2048"}"#
        );
        assert_eq!(
            shown(
                "pca::delete_certificate_authority",
                r#"{"ca": "arn:x", "restore_within_days": 7}"#
            ),
            r#"{"arn":"arn:x","restore_within_days":7}"#
        );
        assert_eq!(shown("time::now", "null"), "{}");
        assert_eq!(
            shown(
                "kube::apply_secret",
                r#"{"cluster": "a", "object": "secret/x in y", "data": {}}"#
            ),
            r#"{"cluster":"a","data":{},"name":"x","namespace":"y"}"#
        );
        let undo = request_of("http::undo", &"PUT https://a/b".into()).expect("a request");
        assert_eq!(undo["url"], "https://a/b".into());
        assert_eq!(
            also_known("http::undo", &undo).as_deref(),
            Some("http::put")
        );
        let undo = "acm:DeleteCertificate arn:aws:acm:us-east-1:1:certificate/c".into();
        let undo = request_of("aws::undo", &undo).expect("a request");
        assert_eq!(
            Value::Map(undo).to_string(),
            r#"{"operation":"DeleteCertificate","service":"acm"}"#
        );
    }
}
