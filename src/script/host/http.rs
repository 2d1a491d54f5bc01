//! `http`: requests to web servers.
//!
//! A request that changes nothing is a read; PUT and DELETE are done again in doubt, as HTTP
//! defines them; POST and PATCH stop and ask, unless `idempotency` sends the effect's key.

use std::time::Duration;

use rhai::{Dynamic, Map, Module, NativeCallContext};

use super::{
    FuncRegistration, Thrown,
    arguments::{Arguments, refuse},
    host, perform,
    undo::{Done, Reversal, Reversed, WayBack},
};
use crate::{
    outside::{HttpClient, HttpRequest, HttpResponse},
    script::{
        dynamic::{from_dynamic, to_dynamic},
        effects::{Call, Class, EffectKey},
    },
    value::{Secret, Value, parse_duration},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The header of the IETF draft "The Idempotency-Key HTTP Header Field".
const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

const METHODS: [(&str, &str, &str); 7] = [
    ("get", "GET", "http::get"),
    ("head", "HEAD", "http::head"),
    ("options", "OPTIONS", "http::options"),
    ("put", "PUT", "http::put"),
    ("delete", "DELETE", "http::delete"),
    ("post", "POST", "http::post"),
    ("patch", "PATCH", "http::patch"),
];

pub(super) fn module() -> Module {
    let mut module = Module::new();
    for (name, method, function) in METHODS {
        FuncRegistration::new(name).set_into_module(
            &mut module,
            move |context: NativeCallContext, url: &str| {
                send(&context, function, method, url, Map::new())
            },
        );
        FuncRegistration::new(name).set_into_module(
            &mut module,
            move |context: NativeCallContext, url: &str, options: Map| {
                send(&context, function, method, url, options)
            },
        );
    }
    module
}

/// What a script asked for, taken apart.
#[derive(Clone)]
struct Asked {
    request: HttpRequest,
    /// The header that carries the effect's key.
    key_header: Option<String>,
    /// Whether the answer's body is a secret.
    is_secret: bool,
    undo: Value,
}

impl Asked {
    fn read(function: &'static str, method: &str, url: &str, options: Map) -> Result<Self, Thrown> {
        let mut arguments = Arguments::new(function, options)?;
        let mut headers = Vec::new();
        for (name, value) in arguments.secret_map("headers")? {
            headers.push((name, value));
        }
        let query = arguments.text_map("query")?;
        let (body, kind) = body(&mut arguments)?;
        if let Some(kind) = kind
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".into(), Secret::new(kind)));
        }
        let timeout = match arguments.optional_text("timeout")? {
            Some(text) => {
                parse_duration(&text).map_err(|e| refuse(function, format!("`timeout`: {e}")))?
            }
            None => DEFAULT_TIMEOUT,
        };
        let identity = match (
            arguments.optional_text("client_certificate")?,
            arguments.optional_secret("client_key")?,
        ) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(refuse(
                    function,
                    "`client_certificate` and `client_key` go together",
                ));
            }
        };
        let key_header = match arguments.optional("idempotency") {
            None | Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(IDEMPOTENCY_HEADER.into()),
            Some(Value::String(header)) => Some(header),
            Some(other) => {
                let kind = other.kind();
                let why = format!("`idempotency` is a {kind}, not true or a header's name");
                return Err(refuse(function, why));
            }
        };
        let is_secret = arguments.flag("secret_output")?;
        let asked = Self {
            request: HttpRequest {
                hides_answer: is_secret,
                expects_gone: false,
                method: method.into(),
                url: with_query(url, &query),
                headers,
                body,
                timeout,
                identity,
                ca: arguments.optional_text("ca")?,
                expected: statuses(function, arguments.optional("expect"))?,
            },
            key_header,
            is_secret,
            undo: arguments.optional("undo").unwrap_or(Value::Null),
        };
        arguments.finish()?;
        Ok(asked)
    }

    fn or_gone(mut self) -> Self {
        self.request.expects_gone = true;
        self
    }

    fn class(&self) -> Class {
        match () {
            () if self.request.is_safe() => Class::Read,
            () if self.request.is_idempotent() || self.key_header.is_some() => Class::Keyed,
            () => Class::Unsure,
        }
    }

    async fn send(
        mut self,
        client: HttpClient,
        key: EffectKey,
    ) -> Result<Value, crate::value::Failure> {
        if let Some(header) = self.key_header.take() {
            let key = Secret::new(key.as_str());
            self.request.headers.push((header, key));
        }
        let answer = client.send(&self.request).await.map(answer)?;
        Ok(match self.is_secret {
            true => sealed(answer),
            false => answer,
        })
    }
}

/// `http::get(url)`, `http::post(url, #{ json: … })`: gives `#{ status, headers, body, json }`.
fn send(
    context: &NativeCallContext,
    function: &'static str,
    method: &str,
    url: &str,
    options: Map,
) -> Result<Dynamic, Thrown> {
    let given = from_dynamic(&Dynamic::from(options.clone())).map_err(|e| refuse(function, e))?;
    let asked = Asked::read(function, method, url, options)?;
    let undo = asked.undo.clone();
    if undo != Value::Null {
        // A mistake in it should show now, not when something has gone wrong already.
        of_undo(&undo).map_err(|why| refuse(function, format!("`undo`: {why}")))?;
    }
    let client = host(context)?.clients.http;
    let record = Value::map([("url", url.into()), ("options", given)]);
    let (again, same_client) = (asked.clone(), client.clone());
    let mut call = Call::new(function, asked.class(), record, move |key| {
        asked.send(client, key)
    });
    if again.request.method == "DELETE" {
        // What a DELETE in doubt does not find, it has deleted.
        call = call.or_again(move |key| again.or_gone().send(same_client, key));
    }
    if undo != Value::Null {
        call = call.remembering(move || async move { Ok(undo) });
    }
    Ok(to_dynamic(&opened(perform(context, call)?)))
}

/// An answer whose body and headers are secrets. JSON is one as a whole: in a map its keys would be recorded.
fn sealed(answer: Value) -> Value {
    let Value::Map(mut fields) = answer else {
        return answer;
    };
    for (key, field) in &mut fields {
        *field = match (key.as_str(), std::mem::take(field)) {
            ("status", status) => status,
            ("json", Value::Null) => Value::Null,
            ("json", json) => Value::Secret(Secret::new(json.to_json().to_string())),
            (_, field) => field.tainted(),
        };
    }
    Value::Map(fields)
}

/// Makes a map with secrets in it of a secret that is JSON.
fn opened(mut answer: Value) -> Value {
    if let Value::Map(fields) = &mut answer
        && let Some(Value::Secret(text)) = fields.get("json")
        && let Ok(json) = serde_json::from_str(text.reveal())
    {
        let json = Value::from_json(json).tainted();
        fields.insert("json".into(), json);
    }
    answer
}

fn answer(response: HttpResponse) -> Value {
    let kind = response.headers.get("content-type");
    let is_json = kind.is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|k| k.trim().ends_with("json"))
    });
    let json = is_json
        .then(|| serde_json::from_str(&response.body).ok())
        .flatten()
        .map_or(Value::Null, Value::from_json);
    let headers = response.headers.into_iter();
    Value::map([
        ("status", Value::Int(response.status.into())),
        ("headers", Value::map(headers.map(|(k, v)| (k, v.into())))),
        ("body", response.body.into()),
        ("json", json),
    ])
}

/// The body, and the content type that goes with how it was given.
fn body(arguments: &mut Arguments) -> Result<(Option<Secret>, Option<&'static str>), Thrown> {
    let given = (
        arguments.optional("json"),
        arguments.optional("form"),
        arguments.optional_secret("body")?,
    );
    match given {
        (None, None, None) => Ok((None, None)),
        (Some(json), None, None) => {
            let text = json.reveal_json().to_string();
            Ok((Some(Secret::new(text)), Some("application/json")))
        }
        (None, Some(Value::Map(form)), None) => {
            let pairs = form
                .iter()
                .map(|(k, v)| format!("{}={}", encode(k), encode(&revealed(v))));
            let text = pairs.collect::<Vec<_>>().join("&");
            Ok((
                Some(Secret::new(text)),
                Some("application/x-www-form-urlencoded"),
            ))
        }
        (None, None, Some(text)) => Ok((Some(text), None)),
        _ => Err("a request has one of `json`, `form` (a map) and `body`".into()),
    }
}

fn revealed(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.reveal().to_owned(),
        other => other.to_text(),
    }
}

fn with_query(url: &str, query: &std::collections::BTreeMap<String, String>) -> String {
    if query.is_empty() {
        return url.into();
    }
    let pairs: Vec<_> = query
        .iter()
        .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
        .collect();
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{}", pairs.join("&"))
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn statuses(function: &str, given: Option<Value>) -> Result<Vec<u16>, Thrown> {
    let wrong = || refuse(function, "`expect` is a list of HTTP statuses: [200, 404]");
    let items = match given {
        None => return Ok(Vec::new()),
        Some(Value::List(items)) => items,
        Some(one) => vec![one],
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::Int(status) => u16::try_from(status).map_err(|_| wrong()),
            _ => Err(wrong()),
        })
        .collect()
}

/// Reads `undo: #{ method, url, … }`.
fn of_undo(undo: &Value) -> Result<Asked, String> {
    let mut options = to_dynamic(undo)
        .try_cast::<Map>()
        .ok_or("it is a map: #{ method: \"DELETE\", url: \"https://…\" }")?;
    let mut text = |key: &str| {
        let value = options
            .remove(key)
            .and_then(|value| value.into_string().ok());
        value.ok_or_else(|| format!("it needs `{key}`"))
    };
    let (method, url) = (text("method")?.to_uppercase(), text("url")?);
    if !METHODS.iter().any(|(_, known, _)| *known == method) {
        return Err(format!("there is no method {method}"));
    }
    Asked::read("http undo", &method, &url, options).map_err(|e| e.to_string())
}

/// The request that the script gave as `undo`.
pub(super) fn reversal(done: Done, client: &HttpClient) -> Reversal {
    if *done.before == Value::Null {
        return Reversal::never(format!("{} has no `undo`", done.function));
    }
    let asked = match of_undo(done.before) {
        Ok(asked) => asked,
        Err(why) => {
            return Reversal::never(format!(
                "the `undo` of {} can't be read: {why}",
                done.function
            ));
        }
    };
    let what = format!("{} {}", asked.request.method, asked.request.url);
    let (client, about) = (client.clone(), what.as_str().into());
    // An undo must be safe to be made again: its author says so by giving one.
    Reversal::By(WayBack::blind(what, "http::undo", about, move |key| {
        let sending = asked.clone().send(client.clone(), key);
        async move { sending.await.map(|_| Reversed::Done) }
    }))
}
