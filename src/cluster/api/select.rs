use serde_json::Value as Json;

use crate::{
    object::{items, text},
    resource::Resource,
    wire::{Failure, Query},
};

/// The label and field selectors of a list or watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selectors {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

/// A requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selectors {
    pub fn read(query: &Query, resource: &Resource) -> Result<Self, Failure> {
        let labels = labels(query.get("labelSelector").unwrap_or_default())?;
        let mut fields = Vec::new();
        let terms = query.get("fieldSelector").unwrap_or_default().split(',');
        for term in terms.filter(|term| !term.is_empty()) {
            let split = term
                .split_once("!=")
                .map(|(field, value)| (field, false, value))
                .or_else(|| term.split_once("==").map(|(f, v)| (f, true, v)))
                .or_else(|| term.split_once('=').map(|(f, v)| (f, true, v)));
            let (field, equal, value) = split.ok_or_else(|| {
                Failure::bad_request(format!(
                    "invalid field selector: {term:?}; can't understand {term:?}"
                ))
            })?;
            if !selectable(resource).any(|known| known == field) {
                let message = format!("field label not supported: {field}");
                return Err(Failure::bad_request(message));
            }
            fields.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self { labels, fields })
    }

    /// Adds the requirement that the object has this name.
    pub fn with_name(mut self, name: &str) -> Self {
        let field = ("metadata.name".to_owned(), true, name.to_owned());
        self.fields.push(field);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Json) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|one| one.holds(labels))
            && self.fields.iter().all(|(field, equal, value)| {
                let pointer = format!("/{}", field.replace('.', "/"));
                let is = match object.pointer(&pointer) {
                    Some(Json::String(text)) => text == value,
                    None | Some(Json::Null) => value.is_empty(),
                    Some(Json::Bool(flag)) => value == if *flag { "true" } else { "false" },
                    Some(Json::Number(number)) => value.parse().ok().as_ref() == Some(number),
                    Some(_) => false,
                };
                is == *equal
            })
    }
}

/// Returns whether a `LabelSelector` object matches labels. An empty one matches everything.
pub(crate) fn selector_matches(selector: &Json, labels: &Json) -> bool {
    let equal = selector["matchLabels"].as_object();
    let equal = equal.into_iter().flatten().all(|(k, v)| &labels[k] == v);
    equal
        && items(selector, "/matchExpressions").iter().all(|term| {
            let key = text(term, "/key").unwrap_or_default().to_owned();
            let values = items(term, "/values").iter();
            let values = values.filter_map(Json::as_str).map(str::to_owned).collect();
            match text(term, "/operator") {
                Some("In") => Requirement::In(key, values),
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("Exists") => Requirement::Exists(key),
                _ => Requirement::Missing(key),
            }
            .holds(labels)
        })
}

impl Requirement {
    fn holds(&self, labels: &Json) -> bool {
        let value = |key: &String| labels.get(key).and_then(Json::as_str);
        match self {
            Self::In(key, values) => {
                value(key).is_some_and(|found| values.iter().any(|value| value == found))
            }
            Self::NotIn(key, values) => {
                !value(key).is_some_and(|found| values.iter().any(|value| value == found))
            }
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
        }
    }
}

/// Returns the fields by which the objects of a resource can be selected.
fn selectable(resource: &Resource) -> impl Iterator<Item = &'static str> {
    let more: &[&str] = match resource.key().as_str() {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        "events" => &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        "replicasets.apps" => &["status.replicas"],
        "nodes" => &["spec.unschedulable"],
        _ => &[],
    };
    ["metadata.name", "metadata.namespace"]
        .into_iter()
        .chain(more.iter().copied())
}

fn labels(selector: &str) -> Result<Vec<Requirement>, Failure> {
    let wrong = || {
        Failure::bad_request(format!(
            "unable to parse requirement: invalid label selector {selector:?}"
        ))
    };
    let mut terms = Vec::new();
    let mut rest = selector.trim();
    while !rest.is_empty() {
        // A comma inside parentheses belongs to its requirement.
        let mut depth = 0;
        let end = rest.find(|c: char| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            c == ',' && depth == 0
        });
        let (term, next) = match end {
            Some(end) => (&rest[..end], rest[end + 1..].trim()),
            None => (rest, ""),
        };
        terms.push(requirement(term.trim()).ok_or_else(wrong)?);
        rest = next;
    }
    Ok(terms)
}

fn requirement(term: &str) -> Option<Requirement> {
    let one = |value: &str| vec![value.trim().to_owned()];
    let key = |text: &str| {
        let text = text.trim();
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!text.is_empty() && text.chars().all(fine)).then(|| text.to_owned())
    };
    if let Some(inner) = term.strip_suffix(')') {
        let (head, values) = inner.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned());
        let mut words = head.split_whitespace();
        let name = key(words.next()?)?;
        return match (words.next()?, words.next()) {
            ("in", None) => Some(Requirement::In(name, values.collect())),
            ("notin", None) => Some(Requirement::NotIn(name, values.collect())),
            _ => None,
        };
    }
    if let Some((name, value)) = term.split_once("!=") {
        return Some(Requirement::NotIn(key(name)?, one(value)));
    }
    if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Some(Requirement::In(key(name)?, one(value)));
    }
    match term.strip_prefix('!') {
        Some(name) => Some(Requirement::Missing(key(name)?)),
        None => Some(Requirement::Exists(key(term)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_are_read_in_kubectl_syntax() {
        let holds =
            |selector: &str, found: Json| labels(selector).unwrap().iter().all(|r| r.holds(&found));
        assert!(holds("a=1,b in (x, y),!c", json!({ "a": "1", "b": "y" })));
        assert!(!holds("a=1,b in (x, y),!c", json!({ "a": "1", "b": "z" })));
        assert!(holds("a!=1,b notin (x),c", json!({ "c": "" })));
        assert!(holds("", json!({})));
        assert!(labels("a b").is_err());
        assert!(labels("a in x").is_err());
    }
}
