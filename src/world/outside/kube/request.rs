//! Makes the requests to an API server: paths and bodies; and reads the status and the warnings of its answers.

use http::{Method, Request, StatusCode, header};
use kube::{Error, core::Status};
use serde_json::Value as Json;

use super::{
    failure::About,
    resource::{Named, Resource, is_name},
};
use crate::value::{Failure, FailureClass};

/// Returns the path of one object.
pub(super) fn path(resource: &Resource, object: &Named, about: &About) -> Result<String, Failure> {
    if !is_name(&object.name) {
        let why = format!("`{}` can't be an object's name", object.name);
        return Err(about.failure(FailureClass::Rejected, "BadName", why));
    }
    if resource.is_namespaced && object.namespace.is_empty() {
        let why = format!("a {resource} lives in a namespace, and none is given");
        return Err(about.failure(FailureClass::Rejected, "NoNamespace", why));
    }
    Ok(format!(
        "{}/{}",
        collection(resource, &object.namespace, about)?,
        object.name
    ))
}

/// Returns the path of the objects of a namespace.
pub(super) fn collection(
    resource: &Resource,
    namespace: &str,
    about: &About,
) -> Result<String, Failure> {
    if !namespace.is_empty() && !is_name(namespace) {
        let why = format!("`{namespace}` can't be a namespace");
        return Err(about.failure(FailureClass::Rejected, "BadName", why));
    }
    match (resource.is_namespaced, namespace) {
        (false, namespace) if !namespace.is_empty() => {
            let why = format!("a {resource} lives in no namespace, and `{namespace}` is given");
            Err(about.failure(FailureClass::Rejected, "NotNamespaced", why))
        }
        _ => Ok(resource.path(namespace)),
    }
}

/// Returns an item of a list with its type, which lists leave out.
pub(super) fn typed(mut item: Json, resource: &Resource) -> Json {
    if let Json::Object(map) = &mut item {
        map.entry("apiVersion")
            .or_insert_with(|| resource.api_version().into());
        map.entry("kind")
            .or_insert_with(|| resource.kind.clone().into());
    }
    item
}

pub(super) fn request(
    method: &Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<(&str, &Json)>,
) -> Result<Request<Vec<u8>>, Error> {
    let mut uri = path.to_owned();
    if !query.is_empty() {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        uri.push('?');
        uri.push_str(&encoded.extend_pairs(query).finish());
    }
    let mut builder = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::ACCEPT, "application/json");
    if let Some((content_type, _)) = body {
        builder = builder.header(header::CONTENT_TYPE, content_type);
    }
    let bytes = body.map_or_else(Vec::new, |(_, json)| json.to_string().into_bytes());
    builder.body(bytes).map_err(Error::HttpError)
}

/// Reads the status of an error answer. Not every one has a `Status` as its body: an API server answers `404 page not found` for
/// a group that it does not serve, and a proxy may answer anything.
pub(super) fn status(code: StatusCode, body: &[u8]) -> Status {
    if let Ok(status) = serde_json::from_slice::<Status>(body)
        && status.code == code.as_u16()
    {
        return status;
    }
    let reason = match code {
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "",
    };
    let text = String::from_utf8_lossy(body);
    let text = match text.trim() {
        "" => code.canonical_reason().unwrap_or("no details were given"),
        text => text,
    };
    Status::failure(text, reason).with_code(code.as_u16())
}

/// The text of a `Warning:` header that an API server sends.
pub(super) fn warning_text(header: &str) -> Option<String> {
    let rest = header.trim().strip_prefix("299 ")?;
    let (_, quoted) = rest.split_once(" \"")?;
    let (mut text, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_a_404_is_not_found_whatever_its_body() {
        for body in [
            "404 page not found\n",
            "",
            "<html>",
            "{}",
            r#"{"kind":"Status","code":0}"#,
        ] {
            let status = status(StatusCode::NOT_FOUND, body.as_bytes());
            assert_eq!(
                (status.code, status.reason.as_str()),
                (404, "NotFound"),
                "{body}"
            );
        }
        let said = br#"{"kind":"Status","code":404,"reason":"NotFound","message":"secrets \"a\" not found"}"#;
        let status = status(StatusCode::NOT_FOUND, said);
        assert_eq!(status.message, "secrets \"a\" not found");
    }

    #[test]
    fn h5_a_warning_is_read_as_client_go_reads_it() {
        let text = |header| warning_text(header);
        assert_eq!(text(r#"299 - "a \"b\" c""#), Some(r#"a "b" c"#.into()));
        assert_eq!(
            text(r#"299 api.example "x" "Wed, 21 Oct 2015 07:28:00 GMT""#),
            Some("x".into())
        );
        assert_eq!(text("199 - \"x\""), None);
        assert_eq!(text("299 - \"x"), None);
    }
}
