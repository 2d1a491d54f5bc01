//! Requests of the REST protocols: params are in the path, the query, headers or the body, as the model says.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use super::{
    super::{
        model::{Format, Kind, Member, Operation, Place, Protocol, Service, Shape},
        xml,
    },
    KEEPS_SLASHES, STRICT, Unsigned, bytes_of, joined, text_of, to_json,
};
use crate::value::Value;

/// The params of a REST request, each with its member, by place.
#[derive(Default)]
struct Parts<'a> {
    uri: BTreeMap<&'a str, (&'a Member, &'a Value)>,
    query: Vec<(&'a str, &'a Member, &'a Value)>,
    headers: Vec<(&'a str, &'a Member, &'a Value)>,
    body: BTreeMap<String, Value>,
}

pub(super) fn request(
    service: &Service,
    operation: &Operation,
    params: &Value,
) -> Result<Unsigned, String> {
    let empty = BTreeMap::new();
    let given = params.as_map().unwrap_or(&empty);
    let any = Member::default();
    let mut parts = Parts::default();
    let members = service.members(operation);
    let has_body = !matches!(operation.method.as_str(), "GET" | "HEAD" | "DELETE");
    for (key, value) in given.iter().filter(|(_, value)| **value != Value::Null) {
        let member = members.and_then(|members| members.get(key)).unwrap_or(&any);
        let place = match service.is_described {
            false => member.place,
            // In the path if the path names it, otherwise in the default place of such a request.
            true if is_in_path(&operation.uri, key) => Place::Uri,
            true if has_body => Place::Body,
            true => Place::Querystring,
        };
        let wire = member.wire(key);
        match place {
            Place::Uri => {
                parts.uri.insert(wire, (member, value));
            }
            Place::Querystring => parts.query.push((wire, member, value)),
            Place::Header | Place::Headers => parts.headers.push((wire, member, value)),
            Place::Body | Place::StatusCode => {
                parts.body.insert(key.clone(), value.clone());
            }
        }
    }
    let (template, fixed) = match operation.uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (operation.uri.as_str(), None),
    };
    let path = fill(service, template, &parts.uri)?;
    let mut query: Vec<_> = fixed
        .into_iter()
        .flat_map(|fixed| fixed.split('&'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for (wire, member, value) in &parts.query {
        query_string(service, wire, member, value, &mut query);
    }
    let mut headers = Vec::new();
    for (wire, member, value) in &parts.headers {
        header(service, wire, member, value, &mut headers);
    }
    let (body, kind) = rest_body(service, operation, given, parts.body, has_body)?;
    let is_named = headers.iter().any(|(name, _)| name == "content-type");
    if let Some(kind) = kind.filter(|_| !is_named) {
        headers.push(("content-type".into(), kind.into()));
    }
    Ok(Unsigned {
        method: operation.method.clone(),
        path,
        query: joined(&query),
        headers,
        body,
    })
}

fn is_in_path(uri: &str, key: &str) -> bool {
    uri.contains(&format!("{{{key}}}")) || uri.contains(&format!("{{{key}+}}"))
}

/// Fills the placeholders of a path: `{Name}`, and `{Name+}`, which keeps its slashes.
fn fill(
    service: &Service,
    template: &str,
    given: &BTreeMap<&str, (&Member, &Value)>,
) -> Result<String, String> {
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("the path `{template}` has a `{{` without its `}}`"));
        };
        path.push_str(before);
        let greedy = name.strip_suffix('+');
        let name = greedy.unwrap_or(name);
        let Some((member, value)) = given.get(name) else {
            return Err(format!(
                "it needs the param `{name}`, which is part of the path"
            ));
        };
        let text = text_of(member, value, Format::Iso8601);
        // Like AWS's own tools, accepts `/hostedzone/Z1`, the form of answers, in place of `Z1`.
        let text = match service.name.as_str() {
            "route53" => text.rsplit('/').next().unwrap_or_default(),
            _ => text.as_str(),
        };
        if text.is_empty() || text.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(format!(
                "the param `{name}` is part of the path, where it can't be empty, nor have `.` or `..` between slashes"
            ));
        }
        let safe = if greedy.is_some() {
            KEEPS_SLASHES
        } else {
            STRICT
        };
        path.extend(utf8_percent_encode(text, safe));
        rest = after;
    }
    path.push_str(rest);
    Ok(path)
}

fn query_string(
    service: &Service,
    wire: &str,
    member: &Member,
    value: &Value,
    query: &mut Vec<(String, String)>,
) {
    match (service.shape_of(member), value) {
        (Some(Shape::Map { value: item, .. }), Value::Map(map)) => {
            for (key, one) in map {
                query_string(service, key, item, one, query);
            }
        }
        (shape, Value::List(items)) => {
            let any = Member::default();
            let item = match shape {
                Some(Shape::List { item }) => item,
                _ => &any,
            };
            for one in items {
                query.push((wire.to_owned(), text_of(item, one, Format::Iso8601)));
            }
        }
        (_, value) => query.push((wire.to_owned(), text_of(member, value, Format::Iso8601))),
    }
}

fn header(
    service: &Service,
    wire: &str,
    member: &Member,
    value: &Value,
    headers: &mut Vec<(String, String)>,
) {
    let text = match (service.shape_of(member), value) {
        (Some(Shape::Map { value: item, .. }), Value::Map(map)) => {
            for (key, one) in map {
                let name = format!("{wire}{key}").to_ascii_lowercase();
                headers.push((name, text_of(item, one, Format::Rfc822)));
            }
            return;
        }
        (Some(Shape::List { item }), Value::List(items)) => {
            let texts: Vec<_> = items
                .iter()
                .map(|one| text_of(item, one, Format::Rfc822))
                .collect();
            texts.join(",")
        }
        (_, value) if member.is_json => {
            // The params contain no secret that is not read yet.
            let text = value.reveal_json().unwrap_or_default().to_string();
            BASE64.encode(text.as_bytes())
        }
        (_, value) => text_of(member, value, Format::Rfc822),
    };
    headers.push((wire.to_ascii_lowercase(), text));
}

fn rest_body(
    service: &Service,
    operation: &Operation,
    given: &BTreeMap<String, Value>,
    body: BTreeMap<String, Value>,
    has_body: bool,
) -> Result<(Zeroizing<Vec<u8>>, Option<&'static str>), String> {
    let bytes = |text: String| Zeroizing::new(text.into_bytes());
    let nothing = (Zeroizing::default(), None);
    let is_json = service.protocol == Protocol::RestJson;
    let kind = if is_json {
        "application/json"
    } else {
        "application/xml"
    };
    if service.is_described {
        return Ok(if has_body {
            (
                bytes(Value::Map(body).reveal_json()?.to_string()),
                Some(kind),
            )
        } else {
            nothing
        });
    }
    let Some(name) = operation.input.as_deref() else {
        return Ok(nothing);
    };
    let Some(Shape::Structure {
        members, payload, ..
    }) = service.shape(name)
    else {
        return Ok(nothing);
    };
    if let Some(payload) = payload {
        let (Some(member), Some(value)) = (members.get(payload), given.get(payload)) else {
            return Ok(nothing);
        };
        return Ok(match &member.kind {
            Kind::Shape(_) if is_json => (
                bytes(to_json(service, member, value)?.to_string()),
                Some(kind),
            ),
            Kind::Shape(_) => {
                let root = member.wire(payload);
                (bytes(xml::write(service, root, member, value)), Some(kind))
            }
            Kind::Bytes => (
                Zeroizing::new(bytes_of(value)),
                Some("application/octet-stream"),
            ),
            _ => (
                bytes(text_of(member, value, Format::Iso8601)),
                Some("text/plain"),
            ),
        });
    }
    let takes_body = members.values().any(|member| member.place == Place::Body);
    if !takes_body || (!is_json && body.is_empty()) {
        return Ok(nothing);
    }
    let body = Value::Map(body);
    if is_json {
        let body = to_json(service, &Member::of_shape(name), &body)?;
        return Ok((bytes(body.to_string()), Some(kind)));
    }
    let root = Member {
        xmlns: operation.xmlns.clone(),
        ..Member::of_shape(name)
    };
    let element = operation.root.as_deref().unwrap_or(name);
    Ok((
        bytes(xml::write(service, element, &root, &body)),
        Some(kind),
    ))
}
