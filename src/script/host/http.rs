//! `http`: sends requests to web servers.
//!
//! A request that changes nothing is a read. PUT and DELETE in doubt are repeated, as HTTP defines them to be idempotent.
//! POST and PATCH stop and ask, unless `idempotency` sends the effect's key, or `read` says that they change nothing.

mod table;

use std::collections::BTreeMap;

use rhai::{Dynamic, Map, NativeCallContext};

pub(super) use table::{ANSWER, TABLE};

use self::table::UNDO;
use super::{
    Thrown,
    arguments::{Arguments, both, numbers, refuse},
    host, perform, rejected,
    undo::{Done, Reversal, Reversed, WayBack},
};
use crate::{
    answer::{Answer, charset_of},
    dynamic::{from_dynamic, to_dynamic},
    effects::{Call, Class, EffectKey},
    secrecy::{SECRET_OUTPUT, SecretOutput, is_part_of_http},
};
use windlass_world::{
    outside::{
        Clients, HttpClient, HttpRequest, HttpResponse, check_header, check_url, has_credentials,
        read_authorities, shown_secret_url, shown_url, too_large,
    },
    value::{Failure, MASK, Proof, Redactor, Secret, Value, parse_duration},
};

/// The largest record of one call that the journal takes.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// The header of the IETF draft "The Idempotency-Key HTTP Header Parameter".
const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// The statuses that an answer can have: those of RFC 9110, 15, and what some servers send beyond them.
const FIRST_STATUS: u16 = 100;
const LAST_STATUS: u16 = 999;
const EXPECTED: &str = "`expect` must be a list of HTTP statuses: [200, 404]";

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"];

/// The parsed options of a request.
#[derive(Clone)]
struct Asked {
    request: HttpRequest,
    /// The header that carries the effect's key.
    key_header: Option<String>,
    /// The parts of the answer that are secret.
    secret: SecretOutput,
    /// The parts of a secret URL: a failing server often quotes the path.
    url_parts: Vec<Secret>,
}

impl Asked {
    fn read(
        function: &'static str,
        method: &str,
        url: &Value,
        mut arguments: Arguments,
    ) -> Result<Self, Thrown> {
        let mut headers = headers(function, &mut arguments)?;
        let query = arguments.scalar_map("query")?;
        let (body, kind) = body(&mut arguments)?;
        if let Some(kind) = kind
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".into(), Secret::new(kind)));
        }
        let timeout = parse_duration(&arguments.text("timeout")?)
            .map_err(|e| refuse(function, format!("`timeout`: {e}")))?;
        let identity = (
            arguments.optional_text("client_certificate")?,
            arguments.optional_secret("client_key")?,
        );
        let identity = both(function, identity, "`client_certificate` and `client_key`")?;
        let key_header = match arguments.optional("idempotency") {
            None | Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(IDEMPOTENCY_HEADER.into()),
            Some(Value::String(header)) => Some(header),
            Some(other) => {
                let kind = other.kind();
                let why =
                    format!("`idempotency` must be true or the name of a header, not a {kind}");
                return Err(refuse(function, why));
            }
        };
        let only_reads = arguments.takes("read") && arguments.flag("read")?;
        if only_reads && key_header.is_some() {
            return Err(refuse(
                function,
                "`read` and `idempotency` can't be combined: a request that changes nothing needs no key",
            ));
        }
        let given = arguments.optional(SECRET_OUTPUT);
        let secret = SecretOutput::read(given.as_ref(), is_part_of_http);
        let secret = secret.map_err(|why| refuse(function, why))?;
        let asked = Self {
            request: HttpRequest {
                only_reads,
                has_key: key_header.is_some(),
                hides_answer: secret.hides(),
                expects_gone: false,
                method: method.into(),
                url: with_query(text_of(function, "the URL", &content(url))?, &query),
                shown: shown(url),
                headers,
                body,
                timeout,
                identity,
                ca: arguments.optional_text("ca")?,
                expected: statuses(function, arguments.optional("expect"))?,
            },
            key_header,
            secret,
            url_parts: parts_of(url),
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
            () if self.request.is_read() => Class::Read,
            () if self.request.is_idempotent() || self.request.has_key => Class::Keyed,
            () => Class::Unsure,
        }
    }

    async fn send(mut self, client: HttpClient, key: EffectKey) -> Result<Value, Failure> {
        if let Some(header) = self.key_header.take() {
            let key = Secret::new(key.as_str());
            self.request.headers.push((header, key));
        }
        let sent = client.send(&self.request).await;
        let response =
            sent.map_err(|failure| Redactor::of_call(&self.url_parts).failure(failure))?;
        record(response, &self.secret).map_err(|bytes| {
            let why =
                format!("the answer takes {bytes} bytes in the journal, where the limit is 1 MiB");
            let name = format!("{} {}", self.request.method, self.request.shown);
            let failure = rejected(&name, "TooLarge", why).with_hint(too_large(&self.request));
            // The answer had an expected status, so the server has done the call.
            if self.request.is_read() {
                failure
            } else {
                failure.proving(Proof::Done)
            }
        })
    }
}

/// Implements `http::get(url)`, `http::post(url, #{ json: … })`: returns `status`, `headers`, `body`, `body_bytes`, `json`.
fn send(
    context: &NativeCallContext,
    function: &'static str,
    method: &str,
    url: Value,
    options: Map,
) -> Result<Dynamic, Thrown> {
    let given = from_dynamic(&Dynamic::from(options.clone())).map_err(|e| refuse(function, e))?;
    let mut arguments = Arguments::new(function, options)?;
    // A method that only reads has nothing to reverse.
    arguments.withdraw("undo");
    let undo = if arguments.takes("undo") {
        arguments.optional("undo").unwrap_or(Value::Null)
    } else {
        Value::Null
    };
    let asked = Asked::read(function, method, &url, arguments)?;
    let mut refusal = refuse_form(&given).and(refuse_doubtful(&asked.request));
    if undo != Value::Null {
        if asked.request.only_reads {
            return Err(refuse(
                function,
                "`read` and `undo` can't be combined: a request that changes nothing is not reversed",
            ));
        }
        // Reports a mistake in the undo now, not when the undo is needed.
        let undo = of_undo(&undo).map_err(|why| refuse(function, format!("`undo`: {why}")))?;
        let options = given.field("undo").unwrap_or(&Value::Null);
        let can_be_sent = refuse_doubtful(&undo.request)
            .and_then(|()| refuse_unsendable(&undo.request))
            .and_then(|()| refuse_form(options));
        refusal = refusal.and(can_be_sent.map_err(|why| format!("`undo`: {why}")));
    }
    let client = host(context)?.clients.http;
    let record = Value::map([("url", recorded(url)), ("options", given)]);
    let (again, same_client) = (asked.clone(), client.clone());
    let mut call = Call::new(function, asked.class(), record, move |key| {
        asked.send(client, key)
    });
    if again.request.method == "DELETE" {
        // A repeated DELETE that finds nothing has succeeded.
        call = call.or_again(move |key| again.or_gone().send(same_client, key));
    }
    if undo != Value::Null {
        call = call.remembering(move || async move { Ok(undo) });
    }
    Ok(Answer::of(perform(context, call.refusing(refusal))?))
}

/// Headers that say how an answer is sent, and nothing about its contents. They stay readable: all answers of a server have the same ones,
/// and a value that is secret once is masked everywhere.
const PLAIN_HEADERS: [&str; 13] = [
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "server",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
];

/// Returns an answer as it is recorded, or its size in bytes if it is too large.
pub(super) fn record(response: HttpResponse, secret: &SecretOutput) -> Result<Value, usize> {
    let charset = response.headers.get("content-type");
    let charset = charset.and_then(|kind| charset_of(kind));
    let (name, body) = Answer::record("body", &response.body, charset);
    let bytes = body.to_json().to_string().len();
    let is_secret = *secret == SecretOutput::All;
    let body = if is_secret { body.tainted() } else { body };
    let headers = response.headers.into_iter();
    let headers = Value::map(headers.map(|(name, value)| {
        let is_plain = !is_secret || PLAIN_HEADERS.contains(&&*name.to_ascii_lowercase());
        let value = Value::from(value);
        (name, if is_plain { value } else { value.tainted() })
    }));
    let record = Value::map([
        ("status".into(), Value::Int(response.status.into())),
        ("headers".into(), headers),
        (name, body),
    ]);
    let bytes = bytes.max(record.to_json().to_string().len());
    match bytes > MAX_RECORD_BYTES {
        true => Err(bytes),
        false if is_secret => Ok(record),
        false => Ok(secret.sealed_answer(record)),
    }
}

/// Returns a URL as errors and an undo show it.
fn shown(url: &Value) -> String {
    match url {
        Value::Secret(secret) => shown_secret_url(secret),
        other => shown_url(&other.to_text()),
    }
}

/// Returns the parts of a secret URL that a server could quote: path and query, and each longer part of them.
fn parts_of(url: &Value) -> Vec<Secret> {
    /// Shorter parts are words such as `hooks`; masking them would make messages unreadable.
    const SHORTEST: usize = 6;
    let Value::Secret(url) = url else {
        return Vec::new();
    };
    let rest = url.reveal().split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at + 1..]);
    let parts = path.split(['/', '?', '&', '=', '#']);
    std::iter::once(path)
        .chain(parts)
        .filter(|part| part.len() >= SHORTEST)
        .map(Secret::new)
        .collect()
}

/// Returns a URL as it is recorded: the text before an `@` is a password.
fn recorded(url: Value) -> Value {
    let Value::String(text) = &url else {
        return url;
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return url;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]).into(),
        None => url,
    }
}

/// Returns the body, and the content type that matches its form.
fn body(arguments: &mut Arguments) -> Result<(Option<Secret>, Option<&'static str>), Thrown> {
    let given = (
        arguments.optional("json"),
        arguments.optional("form"),
        arguments.optional_content("body")?,
    );
    match given {
        (None, None, None) => Ok((None, None)),
        (Some(json), None, None) => {
            json.check_sayable("JSON")
                .map_err(|e| format!("`json`: {e}"))?;
            let text = json.reveal_json().map_err(|e| format!("`json`: {e}"))?;
            let text = text.to_string();
            Ok((Some(Secret::new(text)), Some("application/json")))
        }
        (None, Some(Value::Map(form)), None) => {
            let pairs = form.iter().map(|(k, v)| {
                format!(
                    "{}={}",
                    encode(k.as_bytes()),
                    encode(content(v).reveal_bytes())
                )
            });
            let text = pairs.collect::<Vec<_>>().join("&");
            Ok((
                Some(Secret::new(text)),
                Some("application/x-www-form-urlencoded"),
            ))
        }
        (None, None, Some(text)) => Ok((Some(text), None)),
        _ => Err("a request can have only one of `json`, `form` (a map) and `body`".into()),
    }
}

/// Returns the headers of a request.
fn headers(function: &str, arguments: &mut Arguments) -> Result<Vec<(String, Secret)>, Thrown> {
    let given = arguments.scalar_map("headers")?.into_iter();
    given
        .map(|(name, value)| {
            let value = content(&value);
            text_of(function, &format!("`headers.{name}`"), &value)?;
            Ok((name, value))
        })
        .collect()
}

/// Refuses a form field that is not a text: `()` would be sent as `null`. Earlier versions sent it, so a call that was made with one is still
/// replayed.
fn refuse_form(options: &Value) -> Result<(), String> {
    let form = options.field("form").and_then(Value::as_map);
    let wrong = form
        .into_iter()
        .flatten()
        .find(|(_, value)| matches!(value, Value::Null | Value::List(_) | Value::Map(_)));
    match wrong {
        Some((name, value)) => Err(format!(
            "`form.{name}` must be a string, not {}",
            value.a_kind()
        )),
        None => Ok(()),
    }
}

/// Refuses what a client would refuse only when an undo sends it.
fn refuse_unsendable(request: &HttpRequest) -> Result<(), String> {
    check_url(request.url.reveal())?;
    if let Some(ca) = &request.ca {
        read_authorities(ca.as_bytes()).map_err(|why| format!("`ca`: {why}"))?;
    }
    Ok(())
}

/// Refuses headers that can't be sent, or that would say something else than the rest of the request, so that each server reads it
/// differently, and statuses that no answer has.
fn refuse_doubtful(request: &HttpRequest) -> Result<(), String> {
    for (name, value) in &request.headers {
        check_header(name, value.reveal())?;
    }
    let is_status = |n: &u16| (FIRST_STATUS..=LAST_STATUS).contains(n);
    if !request.expected.iter().all(is_status) {
        return Err(EXPECTED.into());
    }
    let names = |wanted: &str| {
        let mut names = request.headers.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    };
    if let Some(header) = FRAMING.into_iter().find(|header| names(header)) {
        return Err(format!(
            "the header `{header}` follows from the body: leave it out"
        ));
    }
    if names("authorization") && has_credentials(&request.url) {
        Err(
        "the URL has a user or a password, and there is a header `Authorization`: keep one of them"
            .into(),
    )
    } else {
        Ok(())
    }
}

/// The headers that say where a body ends.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Returns the text of a secret that can be sent only as one.
fn text_of<'a>(function: &str, what: &str, secret: &'a Secret) -> Result<&'a str, Thrown> {
    secret
        .text()
        .map_err(|why| refuse(function, format!("{what}: {why}")))
}

/// Returns the text of a value as it is sent.
fn content(value: &Value) -> Secret {
    match value {
        Value::Secret(secret) => secret.clone(),
        Value::Bytes(bytes) => Secret::of_bytes(bytes),
        other => Secret::new(other.to_text()),
    }
}

fn with_query(url: &str, query: &BTreeMap<String, Value>) -> Secret {
    if query.is_empty() {
        return Secret::new(url);
    }
    let pairs: Vec<_> = query
        .iter()
        .map(|(k, v)| {
            format!(
                "{}={}",
                encode(k.as_bytes()),
                encode(content(v).reveal_bytes())
            )
        })
        .collect();
    // The text after a `#` is not sent, so the query goes before it.
    let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let mark = if url.contains('?') { '&' } else { '?' };
    Secret::new(format!("{url}{mark}{}{fragment}", pairs.join("&")))
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn statuses(function: &str, given: Option<Value>) -> Result<Vec<u16>, Thrown> {
    match given {
        None => Ok(Vec::new()),
        Some(given) => numbers(given).ok_or_else(|| refuse(function, EXPECTED)),
    }
}

/// Checks the method of an `undo`, in any case.
fn check_method(method: &str) -> Result<(), String> {
    if METHODS.contains(&method.to_uppercase().as_str()) {
        return Ok(());
    }
    Err(format!("`{method}` is not one of {}", METHODS.join(", ")))
}

/// Reads `undo: #{ method, url, … }`.
fn of_undo(undo: &Value) -> Result<Asked, String> {
    let mut options = to_dynamic(undo)
        .try_cast::<Map>()
        .ok_or("it must be a map: #{ method: \"DELETE\", url: \"https://…\" }")?;
    let mut take = |key: &str| {
        let value = options.remove(key);
        value.ok_or_else(|| format!("it needs `{key}`"))
    };
    let (method, url) = (take("method")?, take("url")?);
    let method = method
        .into_string()
        .map_err(|_| "`method` must be a string")?
        .to_uppercase();
    let url = match from_dynamic(&url) {
        Ok(url @ (Value::String(_) | Value::Secret(_))) => url,
        _ => return Err("`url` must be a string or a secret".into()),
    };
    check_method(&method)?;
    // An undo is never undone itself.
    options.remove("undo");
    const FUNCTION: &str = "http undo";
    Arguments::of(FUNCTION, options, Some(UNDO))
        .and_then(|arguments| Asked::read(FUNCTION, &method, &url, arguments))
        .map_err(|e| e.to_string())
}

/// Returns the result of an undo's call as its client returns it: used when a test gives the answer. `judged` says whether the answer
/// means success.
pub fn judged_undo(
    call: &str,
    method: &str,
    judged: Result<(), Failure>,
) -> Result<Value, Failure> {
    let is_delete = call == "http::undo" && method.eq_ignore_ascii_case("DELETE");
    let reversed = match judged {
        Err(failure) => or_gone(is_delete, failure)?,
        Ok(()) => Reversed::Done,
    };
    Ok(reversed.to_value())
}

/// A DELETE that finds nothing has nothing to reverse.
fn or_gone(is_delete: bool, failure: Failure) -> Result<Reversed, Failure> {
    if is_delete && GONE.contains(&failure.code.as_str()) {
        Ok(Reversed::Already(format!("it is gone: {}", failure.code)))
    } else {
        Err(failure)
    }
}

/// The codes of a DELETE that finds nothing.
const GONE: [&str; 2] = ["HTTP404", "HTTP410"];

/// Returns the reversal that sends the request which the script gave as `undo`.
fn of_request(done: Done, clients: &Clients) -> Reversal {
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
    let what = format!("{} {}", asked.request.method, asked.request.shown);
    let method = asked.request.method.clone();
    // The mask of a secret URL is for people, and must not be sent.
    let (client, about) = (clients.http.clone(), what.replace(MASK, "***").into());
    let class = match asked.class() {
        Class::Read => Class::Keyed,
        other => other,
    };
    let way = WayBack::blind(what, "http::undo", about, move |key| {
        let sending = asked.clone().send(client.clone(), key);
        let is_delete = method == "DELETE";
        async move {
            match sending.await {
                Err(failure) => or_gone(is_delete, failure),
                Ok(_) => Ok(Reversed::Done),
            }
        }
    });
    Reversal::By(way.in_doubt(class))
}
