//! Reads a value from an answer, by the protocol of the service.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value as Json;

use super::{
    model::{Kind, Member, Operation, Place, Protocol, Service, Shape},
    timestamp, xml,
};
use crate::value::{Bytes, Value};

/// The answer of a server.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    /// Names in lower case.
    pub headers: &'a BTreeMap<String, String>,
    pub body: &'a [u8],
}

/// The most elements that an answer of 1 MiB may hold.
const MAX_ELEMENTS: u32 = 1 << 18;

/// Reads the result of an operation. Members that the model marks as sensitive become secrets.
///
/// # Errors
/// An answer that does not follow the service's protocol.
pub fn result(service: &Service, operation: &Operation, answer: Answer) -> Result<Value, String> {
    let shape = operation
        .output
        .as_deref()
        .and_then(|name| service.shape(name));
    match (service.protocol, shape) {
        (Protocol::Json | Protocol::RestJson, None) if service.is_described => {
            json_of(answer.body).map(Value::from_json)
        }
        (_, None) => Ok(Value::map::<String>([])),
        (Protocol::Json, Some(_)) => {
            let json = json_of(answer.body)?;
            let name = operation.output.as_deref().unwrap_or_default();
            Ok(of_json(service, &Member::of_shape(name), json))
        }
        (Protocol::Query | Protocol::Ec2, Some(shape)) => {
            let text = text_of(answer.body)?;
            let document = parse(&text)?;
            let root = document.root_element();
            let node = operation.wrapper.as_deref().and_then(|wrapper| {
                root.children()
                    .find(|child| child.tag_name().name() == wrapper)
            });
            Ok(xml::structure(service, shape, node.unwrap_or(root)))
        }
        (Protocol::RestJson | Protocol::RestXml, Some(shape)) => {
            rest_result(service, shape, answer)
        }
    }
}

/// Says whether an answer is an error although its status is a success. S3 sends the status of CopyObject, UploadPartCopy and
/// CompleteMultipartUpload before it has done the work (Amazon S3 API Reference, "CopyObject", "Response and special errors"). Like
/// AWS's SDKs, this checks all operations except those whose answer is an object's own bytes.
pub fn is_embedded_error(service: &Service, operation: &Operation, body: &[u8]) -> bool {
    if service.protocol != Protocol::RestXml || gives_bytes(service, operation) {
        return false;
    }
    let Ok(text) = text_of(body) else {
        return false;
    };
    parse(&text).is_ok_and(|document| document.root_element().tag_name().name() == "Error")
}

fn gives_bytes(service: &Service, operation: &Operation) -> bool {
    let name = operation.output.as_deref();
    let Some(Shape::Structure {
        members,
        payload: Some(payload),
        ..
    }) = name.and_then(|name| service.shape(name))
    else {
        return false;
    };
    members
        .get(payload)
        .is_some_and(|member| matches!(member.kind, Kind::Bytes))
}

/// Parses XML; rejects a document type.
pub fn parse(text: &str) -> Result<Document<'_>, String> {
    let options = ParsingOptions {
        nodes_limit: MAX_ELEMENTS,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|e| format!("the answer is not XML: {e}"))
}

fn text_of(body: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8".to_owned())?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// Parses JSON; an empty body is an empty map.
pub fn json_of(body: &[u8]) -> Result<Json, String> {
    if body.trim_ascii().is_empty() {
        Ok(Json::Object(Default::default()))
    } else {
        serde_json::from_slice(body).map_err(|e| format!("the answer is not JSON: {e}"))
    }
}

/// Builds a structure from its members, the sensitive ones as secrets.
pub(super) fn assembled(service: &Service, found: Vec<(&str, &Member, Value)>) -> Value {
    // A parameter of SSM itself says whether its value is a secret.
    let is_plain = service.name == "ssm"
        && found
            .iter()
            .any(|(key, _, value)| *key == "Type" && value.as_str().is_some_and(is_plain_type));
    Value::map(found.into_iter().map(|(key, member, value)| {
        let value = if is_plain && key == "Value" {
            value
        } else {
            sealed(member, value)
        };
        (key, value)
    }))
}

pub(super) fn is_plain_type(kind: &str) -> bool {
    matches!(kind, "String" | "StringList")
}

pub(super) fn sealed(member: &Member, value: Value) -> Value {
    if member.is_secret {
        value.tainted()
    } else {
        value
    }
}

fn of_json(service: &Service, member: &Member, json: Json) -> Value {
    match (service.shape_of(member), json) {
        (_, Json::Null) => Value::Null,
        (Some(Shape::Structure { members, .. }), Json::Object(mut given)) => {
            let mut found = Vec::new();
            for (key, inner) in members {
                match given.remove(inner.wire(key)) {
                    None | Some(Json::Null) => {}
                    Some(json) => found.push((key.as_str(), inner, of_json(service, inner, json))),
                }
            }
            if members.is_empty() {
                // A document: any JSON.
                Value::from_json(Json::Object(given))
            } else {
                assembled(service, found)
            }
        }
        (Some(Shape::List { item }), Json::Array(items)) => {
            let items = items.into_iter();
            Value::List(
                items
                    .map(|one| sealed(item, of_json(service, item, one)))
                    .collect(),
            )
        }
        (Some(Shape::Map { value, .. }), Json::Object(map)) => {
            let entries = map.into_iter();
            Value::map(entries.map(|(key, one)| (key, sealed(value, of_json(service, value, one)))))
        }
        (_, json) => scalar(member, json),
    }
}

fn scalar(member: &Member, json: Json) -> Value {
    match (&member.kind, &json) {
        (Kind::Time, Json::Number(number)) => {
            let read = number.as_f64().and_then(timestamp::of_seconds);
            read.map_or_else(
                || Value::from_json(json),
                |read| timestamp::show(read).into(),
            )
        }
        (Kind::Bytes | Kind::Time | Kind::Float, Json::String(text)) => xml::scalar(member, text),
        (Kind::Text, Json::String(text)) if member.is_json => {
            Value::parse_json(text).unwrap_or_else(|_| text.as_str().into())
        }
        (Kind::Float, Json::Number(number)) => number.as_f64().map_or(Value::Null, Value::Float),
        _ => Value::from_json(json),
    }
}

fn rest_result(service: &Service, shape: &Shape, answer: Answer) -> Result<Value, String> {
    let Shape::Structure {
        members, payload, ..
    } = shape
    else {
        return Ok(Value::Null);
    };
    let mut found: Vec<(&str, &Member, Value)> = Vec::new();
    for (key, member) in members {
        let wire = member.wire(key).to_ascii_lowercase();
        let value = match member.place {
            Place::StatusCode => Some(Value::Int(answer.status.into())),
            Place::Header => answer
                .headers
                .get(&wire)
                .map(|text| header(service, member, text)),
            Place::Headers => {
                let headers = answer.headers.iter();
                let found = headers.filter_map(|(name, value)| {
                    Some((name.strip_prefix(&wire)?.to_owned(), value.as_str().into()))
                });
                Some(Value::map(found))
                    .filter(|map| map.as_map().is_some_and(|map| !map.is_empty()))
            }
            Place::Body | Place::Querystring | Place::Uri => None,
        };
        if let Some(value) = value {
            found.push((key, member, value));
        }
    }
    let body = match payload {
        Some(payload) => {
            if let Some((key, member)) = members.get_key_value(payload)
                && let Some(value) = of_payload(service, member, answer.body)?
            {
                found.push((key, member, value));
            }
            Value::Null
        }
        None => of_body(service, shape, answer.body)?,
    };
    let value = assembled(service, found);
    Ok(match (value, body) {
        (Value::Map(mut map), Value::Map(body)) => {
            map.extend(body);
            Value::Map(map)
        }
        (value, _) => value,
    })
}

fn header(service: &Service, member: &Member, text: &str) -> Value {
    match service.shape_of(member) {
        Some(Shape::List { item }) => {
            let parts = text.split(',').map(str::trim);
            Value::List(parts.map(|part| xml::scalar(item, part)).collect())
        }
        _ if member.is_json => data_encoding::BASE64
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| Value::parse_json(std::str::from_utf8(&bytes).ok()?).ok())
            .unwrap_or_else(|| text.into()),
        _ => xml::scalar(member, text),
    }
}

fn of_payload(service: &Service, member: &Member, body: &[u8]) -> Result<Option<Value>, String> {
    match &member.kind {
        Kind::Shape(_) if body.trim_ascii().is_empty() => Ok(None),
        Kind::Shape(name) => match service.shape(name) {
            Some(shape) => of_body(service, shape, body).map(Some),
            None => Ok(None),
        },
        Kind::Bytes => Ok(Some(Value::Bytes(Bytes::new(body)))),
        _ => text_of(body).map(|text| Some(text.into())),
    }
}

/// Returns the members of a structure that are in the body.
fn of_body(service: &Service, shape: &Shape, body: &[u8]) -> Result<Value, String> {
    let Shape::Structure { members, .. } = shape else {
        let json = json_of(body)?;
        return Ok(Value::from_json(json));
    };
    let takes_body = members.values().any(|member| member.place == Place::Body);
    if !takes_body || body.trim_ascii().is_empty() {
        return Ok(Value::map::<String>([]));
    }
    if service.protocol == Protocol::RestJson {
        let Json::Object(mut given) = json_of(body)? else {
            return Err("the answer is not a JSON object".into());
        };
        let mut found = Vec::new();
        for (key, inner) in members
            .iter()
            .filter(|(_, inner)| inner.place == Place::Body)
        {
            match given.remove(inner.wire(key)) {
                None | Some(Json::Null) => {}
                Some(json) => found.push((key.as_str(), inner, of_json(service, inner, json))),
            }
        }
        return Ok(assembled(service, found));
    }
    let text = text_of(body)?;
    let document = parse(&text)?;
    let root = document.root_element();
    Ok(match lone(members, root) {
        Some((key, member)) => assembled(
            service,
            vec![(key, member, xml::scalar(member, &xml::text(root)))],
        ),
        None => xml::structure(service, shape, root),
    })
}

/// Returns the single member whose text is in the root element itself: `<LocationConstraint>eu-west-1</LocationConstraint>`.
fn lone<'a>(members: &'a BTreeMap<String, Member>, root: Node) -> Option<(&'a str, &'a Member)> {
    let (key, member) = members.get_key_value(root.tag_name().name())?;
    let is_lone = members.len() == 1 && !root.children().any(|child| child.is_element());
    is_lone.then_some((key.as_str(), member))
}

#[cfg(test)]
mod tests {
    use super::{super::model::service, *};

    fn read(name: &str, operation: &str, headers: &[(&str, &str)], body: &str) -> String {
        let service = service(name).expect("a model");
        let headers = headers
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let headers = headers.collect();
        let answer = Answer {
            status: 200,
            headers: &headers,
            body: body.as_bytes(),
        };
        let value = result(service, &service.operations[operation], answer).expect("an answer");
        value.to_json().to_string()
    }

    #[test]
    fn sensitive_results_are_secrets() {
        let body = r#"{"Name":"a","SecretString":"s3cret","CreatedDate":1769860800.5}"#;
        assert_eq!(
            read("secretsmanager", "GetSecretValue", &[], body),
            r#"{"CreatedDate":"2026-01-31T12:00:00.5Z","Name":"a","SecretString":"‹secret›"}"#
        );
        for (kind, shown) in [("SecureString", "‹secret›"), ("String", "v")] {
            let body = format!(r#"{{"Parameter":{{"Type":"{kind}","Value":"v"}}}}"#);
            let read = read("ssm", "GetParameter", &[], &body);
            assert!(read.contains(&format!(r#""Value":"{shown}""#)), "{read}");
        }
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
            <AccessKeyId>AKIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
            <Expiration>2026-01-31T12:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        assert_eq!(
            read("sts", "AssumeRole", &[], body),
            r#"{"Credentials":{"AccessKeyId":"AKIA","Expiration":"2026-01-31T12:00:00Z","SecretAccessKey":"‹secret›","SessionToken":"‹secret›"}}"#
        );
    }

    #[test]
    fn a_list_of_one_is_a_list() {
        let body = "<ListHostedZonesResponse><HostedZones><HostedZone><Id>/hostedzone/Z</Id><Name>a.</Name>\
            <CallerReference>r</CallerReference></HostedZone></HostedZones><IsTruncated>false</IsTruncated>\
            <MaxItems>100</MaxItems></ListHostedZonesResponse>";
        assert_eq!(
            read("route53", "ListHostedZones", &[], body),
            r#"{"HostedZones":[{"CallerReference":"r","Id":"/hostedzone/Z","Name":"a."}],"IsTruncated":false,"MaxItems":"100"}"#
        );
        // A flat list.
        let body = "<ListBucketResult><Name>b</Name><Contents><Key>k</Key><Size>3</Size></Contents></ListBucketResult>";
        assert_eq!(
            read("s3", "ListObjectsV2", &[], body),
            r#"{"Contents":[{"Key":"k","Size":3}],"Name":"b"}"#
        );
        let body = "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">eu-west-1</LocationConstraint>";
        assert_eq!(
            read("s3", "GetBucketLocation", &[], body),
            r#"{"LocationConstraint":"eu-west-1"}"#
        );
    }

    #[test]
    fn an_answer_of_ec2_has_no_wrapper() {
        let body = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
            <reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId>\
            <ebsOptimized>true</ebsOptimized><launchTime>2026-01-31T12:00:00.000Z</launchTime></item></instancesSet></item>\
            </reservationSet></DescribeInstancesResponse>";
        assert_eq!(
            read("ec2", "DescribeInstances", &[], body),
            r#"{"Reservations":[{"Instances":[{"EbsOptimized":true,"InstanceId":"i-1","LaunchTime":"2026-01-31T12:00:00Z"}],"ReservationId":"r-1"}]}"#
        );
    }

    #[test]
    fn headers_and_bytes_are_part_of_an_answer() {
        let headers = [
            ("content-length", "1"),
            ("last-modified", "Sat, 31 Jan 2026 12:00:00 GMT"),
            ("x-amz-meta-owner", "me"),
        ];
        assert_eq!(
            read("s3", "GetObject", &headers, "x"),
            r#"{"Body":"eA==","ContentLength":1,"LastModified":"2026-01-31T12:00:00Z","Metadata":{"owner":"me"}}"#
        );
    }

    #[test]
    fn an_error_in_an_answer_of_success_is_found() {
        let s3 = service("s3").expect("a model");
        let is_error = |operation: &str, body: &str| {
            is_embedded_error(s3, &s3.operations[operation], body.as_bytes())
        };
        let error = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n \r\n <Error><Code>InternalError</Code></Error>";
        for operation in ["CopyObject", "CompleteMultipartUpload", "PutBucketPolicy"] {
            assert!(is_error(operation, error), "{operation}");
        }
        assert!(!is_error(
            "CopyObject",
            "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"
        ));
        assert!(!is_error("CopyObject", ""));
        // An object may contain anything.
        assert!(!is_error("GetObject", error));
    }

    #[test]
    fn a_document_type_is_refused() {
        assert!(parse("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>").is_err());
    }
}
