//! Builds a request from params, by the protocol of the service (Smithy, "AWS protocols"; botocore's `serialize.py` where that
//! is not specific).

mod rest;

use std::borrow::Cow;

use data_encoding::BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{
    model::{Format, Kind, Member, Operation, Protocol, Service, Shape},
    timestamp,
};
use crate::value::Value;

/// A request that is not signed yet, without its host.
#[derive(Debug, Default)]
pub struct Unsigned {
    pub method: String,
    /// The encoded path, as it is sent.
    pub path: String,
    /// The encoded query, as it is sent; empty without one.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Zeroizing<Vec<u8>>,
}

/// All characters except the unreserved ones of RFC 3986.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const KEEPS_SLASHES: &AsciiSet = &STRICT.remove(b'/');

/// Percent-encodes in the way of SigV4.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, STRICT).to_string()
}

/// Builds the request. The params have been checked.
///
/// # Errors
/// A part of the path that is empty, or that a server would read as another path; a secret that is not read yet.
pub fn request(
    service: &Service,
    name: &str,
    operation: &Operation,
    params: &Value,
) -> Result<Unsigned, String> {
    if params.holds_reference() {
        return Err("a param names a secret that was not read".into());
    }
    match service.protocol {
        Protocol::Json => json_request(service, name, operation, params),
        Protocol::Query | Protocol::Ec2 => Ok(query_request(service, name, operation, params)),
        Protocol::RestJson | Protocol::RestXml => rest::request(service, operation, params),
    }
}

fn json_request(
    service: &Service,
    name: &str,
    operation: &Operation,
    params: &Value,
) -> Result<Unsigned, String> {
    let body = match &operation.input {
        Some(shape) => to_json(service, &Member::of_shape(shape), params)?,
        None => params.reveal_json()?,
    };
    let version = service.json.as_deref().unwrap_or("1.1");
    let target = service.target.as_deref().unwrap_or_default();
    let mut headers = vec![
        (
            "content-type".into(),
            format!("application/x-amz-json-{version}"),
        ),
        ("x-amz-target".into(), format!("{target}.{name}")),
    ];
    if service.query_compatible {
        headers.push(("x-amzn-query-mode".into(), "true".into()));
    }
    Ok(Unsigned {
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers,
        body: Zeroizing::new(body.to_string().into_bytes()),
    })
}

fn query_request(service: &Service, name: &str, operation: &Operation, params: &Value) -> Unsigned {
    let mut pairs = vec![
        ("Action".to_owned(), name.to_owned()),
        ("Version".to_owned(), service.version.clone()),
    ];
    if let Some(shape) = &operation.input {
        query_pairs(service, &Member::of_shape(shape), params, "", &mut pairs);
    }
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    Unsigned {
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: vec![("content-type".into(), kind.into())],
        body: Zeroizing::new(joined(&pairs).into_bytes()),
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    pairs.join("&")
}

/// Returns the pairs of a value in the query protocol.
fn query_pairs(
    service: &Service,
    member: &Member,
    value: &Value,
    prefix: &str,
    pairs: &mut Vec<(String, String)>,
) {
    let inner = |name: &str| match prefix {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    };
    match (service.shape_of(member), value) {
        (_, Value::Null) => {}
        (Some(Shape::Structure { members, .. }), Value::Map(given)) => {
            for (key, item) in given {
                if let Some(member) = members.get(key) {
                    let name = query_name(service, member, key);
                    query_pairs(service, member, item, &inner(&name), pairs);
                }
            }
        }
        (Some(Shape::List { item }), Value::List(items)) if service.protocol == Protocol::Ec2 => {
            for (at, one) in items.iter().enumerate() {
                query_pairs(service, item, one, &format!("{prefix}.{}", at + 1), pairs);
            }
        }
        (Some(Shape::List { .. }), Value::List(items)) if items.is_empty() => {
            pairs.push((prefix.to_owned(), String::new()));
        }
        (Some(Shape::List { item }), Value::List(items)) => {
            let prefix = match (member.is_flat, item.name.as_deref()) {
                (false, name) => inner(name.unwrap_or("member")),
                (true, None) => prefix.to_owned(),
                (true, Some(name)) => match prefix.rsplit_once('.') {
                    Some((outer, _)) => format!("{outer}.{name}"),
                    None => name.to_owned(),
                },
            };
            for (at, one) in items.iter().enumerate() {
                query_pairs(service, item, one, &format!("{prefix}.{}", at + 1), pairs);
            }
        }
        (Some(Shape::Map { key, value: item }), Value::Map(map)) => {
            let prefix = if member.is_flat {
                prefix.to_owned()
            } else {
                inner("entry")
            };
            for (at, (name, one)) in map.iter().enumerate() {
                let prefix = format!("{prefix}.{}", at + 1);
                pairs.push((format!("{prefix}.{}", key.wire("key")), name.clone()));
                query_pairs(
                    service,
                    item,
                    one,
                    &format!("{prefix}.{}", item.wire("value")),
                    pairs,
                );
            }
        }
        (_, value) => pairs.push((prefix.to_owned(), text_of(member, value, Format::Iso8601))),
    }
}

/// Returns the name of a member in the query protocol. In EC2's, the name on the wire begins with a capital (Smithy, "AWS EC2
/// query protocol").
fn query_name<'a>(service: &Service, member: &'a Member, own: &'a str) -> Cow<'a, str> {
    match (service.protocol, &member.query, &member.name) {
        (Protocol::Ec2, Some(name), _) => name.into(),
        (Protocol::Ec2, None, Some(name)) => {
            let mut chars = name.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(chars).collect::<String>().into()
        }
        _ => member.wire(own).into(),
    }
}

/// Returns a scalar as text.
pub(super) fn text_of(member: &Member, value: &Value, moments: Format) -> String {
    match (&member.kind, value) {
        (Kind::Bytes, value) => BASE64.encode(&bytes_of(value)),
        (Kind::Time, value) => moment_of(value).map_or_else(String::new, |moment| {
            timestamp::write(moment, member.format.unwrap_or(moments))
        }),
        (_, Value::Secret(secret)) => secret.reveal().to_owned(),
        (_, value) => value.to_text(),
    }
}

fn moment_of(value: &Value) -> Option<time::OffsetDateTime> {
    match value {
        Value::Int(seconds) => time::OffsetDateTime::from_unix_timestamp(*seconds).ok(),
        Value::Float(seconds) => timestamp::of_seconds(*seconds),
        Value::String(text) => timestamp::parse(text),
        _ => None,
    }
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::Bytes(bytes) => bytes.to_vec(),
        Value::Secret(secret) => secret.reveal_bytes().to_vec(),
        other => other.to_text().into_bytes(),
    }
}

/// Returns a value as JSON, with the names on the wire.
fn to_json(service: &Service, member: &Member, value: &Value) -> Result<Json, String> {
    Ok(match (service.shape_of(member), value) {
        (Some(Shape::Structure { members, .. }), Value::Map(given)) => {
            let given = given.iter().filter(|(_, item)| **item != Value::Null);
            let entries = given.filter_map(|(key, item)| {
                let member = members.get(key)?;
                let json = to_json(service, member, item);
                Some(json.map(|json| (member.wire(key).to_owned(), json)))
            });
            Json::Object(entries.collect::<Result<_, _>>()?)
        }
        (Some(Shape::List { item }), Value::List(items)) => {
            let items = items.iter().map(|one| to_json(service, item, one));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        (Some(Shape::Map { value: item, .. }), Value::Map(map)) => {
            let entries = map.iter();
            let entries = entries.map(|(key, one)| Ok((key.clone(), to_json(service, item, one)?)));
            Json::Object(entries.collect::<Result<_, String>>()?)
        }
        // A document: any JSON.
        (Some(_), value) => value.reveal_json()?,
        (None, value) => match &member.kind {
            Kind::Text if member.is_json => value.reveal_json()?.to_string().into(),
            Kind::Bytes => BASE64.encode(&bytes_of(value)).into(),
            Kind::Time => {
                let format = member.format.unwrap_or(Format::UnixTimestamp);
                let text = text_of(member, value, format);
                match format {
                    Format::UnixTimestamp => serde_json::from_str(&text).unwrap_or(Json::Null),
                    _ => text.into(),
                }
            }
            _ => value.reveal_json()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{super::model::service, *};

    fn made(name: &str, operation: &str, params: &str) -> Unsigned {
        let service = service(name).expect("a model");
        let params = Value::parse_json(params).expect("JSON");
        request(service, operation, &service.operations[operation], &params).expect("a request")
    }

    fn body(request: &Unsigned) -> String {
        String::from_utf8(request.body.to_vec()).expect("a text")
    }

    #[test]
    fn json_is_sent_by_its_target() {
        let request = made(
            "secretsmanager",
            "PutSecretValue",
            r#"{"SecretId":"a","SecretBinary":"x","VersionStages":["AWSCURRENT"]}"#,
        );
        assert!(request.headers.contains(&(
            "x-amz-target".into(),
            "secretsmanager.PutSecretValue".into()
        )));
        assert_eq!(
            serde_json::from_slice::<Json>(&request.body).expect("JSON"),
            serde_json::json!({"SecretId": "a", "SecretBinary": "eA==", "VersionStages": ["AWSCURRENT"]})
        );
    }

    #[test]
    fn query_numbers_its_lists() {
        let request = made(
            "elbv2",
            "AddTags",
            r#"{"ResourceArns":["a:b"],"Tags":[{"Key":"k","Value":"v w"}]}"#,
        );
        assert_eq!(
            body(&request),
            "Action=AddTags&Version=2015-12-01&ResourceArns.member.1=a%3Ab&Tags.member.1.Key=k&Tags.member.1.Value=v%20w"
        );
        // Items with their own name.
        let request = made(
            "rds",
            "DescribeDBInstances",
            r#"{"Filters":[{"Name":"engine","Values":["a","b"]}]}"#,
        );
        assert!(body(&request).ends_with(
            "Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=a&Filters.Filter.1.Values.Value.2=b"
        ));
    }

    /// Names in botocore's model of EC2: `locationName` is `instanceId`, `clientToken`; `queryName` is `DryRun`, `GroupSet`.
    #[test]
    fn ec2_has_names_and_lists_of_its_own() {
        let request = made(
            "ec2",
            "DescribeInstances",
            r#"{"InstanceIds":["i-1","i-2"],"Filters":[{"Name":"vpc-id","Values":["v"]}],"MaxResults":5}"#,
        );
        assert_eq!(
            body(&request),
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=v&InstanceId.1=i-1&InstanceId.2=i-2&MaxResults=5"
        );
        let request = made(
            "ec2",
            "RunInstances",
            r#"{"MinCount":1,"MaxCount":1,"ClientToken":"k","SecurityGroupIds":[],"TagSpecifications":[{"ResourceType":"instance",
                "Tags":[{"Key":"a","Value":"b"}]}]}"#,
        );
        assert_eq!(
            body(&request),
            "Action=RunInstances&Version=2016-11-15&ClientToken=k&MaxCount=1&MinCount=1&TagSpecification.1.ResourceType=instance\
             &TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b"
        );
    }

    #[test]
    fn rest_puts_params_where_the_model_says() {
        let request = made(
            "lambda",
            "ListFunctions",
            r#"{"MaxItems":5,"FunctionVersion":"ALL"}"#,
        );
        assert_eq!(request.method, "GET");
        assert_eq!(request.path, "/2015-03-31/functions");
        assert_eq!(request.query, "FunctionVersion=ALL&MaxItems=5");
        let request = made(
            "s3",
            "PutObject",
            r#"{"Bucket":"b","Key":"a b/c","Body":"x","Metadata":{"Owner":"me"}}"#,
        );
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("PUT", "/b/a%20b/c")
        );
        assert!(
            request
                .headers
                .contains(&("x-amz-meta-owner".into(), "me".into()))
        );
        assert_eq!(body(&request), "x");
        let request = made(
            "route53",
            "ChangeResourceRecordSets",
            r#"{"HostedZoneId":"/hostedzone/Z1","ChangeBatch":{"Changes":[{"Action":"UPSERT","ResourceRecordSet":{
                "Name":"a.example","Type":"TXT","TTL":60,"ResourceRecords":[{"Value":"\"a<b\""}]}}]}}"#,
        );
        assert_eq!(request.path, "/2013-04-01/hostedzone/Z1/rrset/");
        assert_eq!(
            body(&request),
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
             <Change><Action>UPSERT</Action><ResourceRecordSet><Name>a.example</Name><ResourceRecords><ResourceRecord>\
             <Value>\"a&lt;b\"</Value></ResourceRecord></ResourceRecords><TTL>60</TTL><Type>TXT</Type></ResourceRecordSet>\
             </Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
    }

    #[test]
    fn a_path_can_t_be_left() {
        let service = service("s3").expect("a model");
        for key in ["../other/x", "a/./b", ""] {
            let params = Value::map([("Bucket", "b".into()), ("Key", key.into())]);
            let operation = &service.operations["GetObject"];
            assert!(
                request(service, "GetObject", operation, &params).is_err(),
                "{key}"
            );
        }
    }
}
