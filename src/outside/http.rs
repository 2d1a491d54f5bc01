use std::{collections::BTreeMap, error::Error as _, time::Duration};

use reqwest::{Client, Method, header::HeaderMap, redirect};

use super::proxy::Proxies;
use crate::value::{Failure, FailureClass, MASK, Secret};

/// Answers go through the journal, which takes 1 MiB a call with all that is around it.
const MAX_BODY_BYTES: usize = 1 << 20;
/// As browsers and curl follow them.
const MOST_REDIRECTS: usize = 10;
/// How much of an answer that was not expected its failure shows.
const SHOWN_CHARACTERS: usize = 200;

/// HTTP servers, within what the target allows.
#[derive(Clone, Debug, Default)]
pub struct HttpClient {
    /// Host names, or `*.domain`; `None` for every host.
    allowed: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Option<Secret>,
    pub timeout: Duration,
    /// A client certificate with its chain, and its key, PEM.
    pub identity: Option<(String, Secret)>,
    /// The CAs to trust instead of the system's, PEM.
    pub ca: Option<String>,
    /// The statuses that are no failure; empty for every 2xx.
    pub expected: Vec<u16>,
    /// Whether a failure must not quote the answer.
    pub hides_answer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case; several values of one are joined by `, `.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl HttpRequest {
    /// Whether it asks for nothing to be changed (RFC 9110, "safe").
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// Whether sending it twice is the same as sending it once (RFC 9110, "idempotent").
    pub fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self.method.as_str(), "PUT" | "DELETE")
    }

    fn name(&self) -> String {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        format!("{} {url}", self.method)
    }
}

impl HttpClient {
    pub fn new(allowed: Option<Vec<String>>) -> Self {
        Self { allowed }
    }

    /// Sends one request. Redirects are followed where nothing is changed by it.
    ///
    /// # Errors
    /// A host that the target does not allow, a server that can't be reached or answers with
    /// another status than was expected, and an answer over 1 MiB.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        let name = request.name();
        let rejected =
            |code: &str, why: String| Failure::new(FailureClass::Rejected, name.clone(), code, why);
        let url: reqwest::Url = request
            .url
            .parse()
            .map_err(|e| rejected("BadUrl", format!("{}: {e}", request.url)))?;
        let host = url.host_str().unwrap_or_default();
        if !self.allows(host) {
            let why = format!("the target does not allow the host `{host}`");
            return Err(rejected("HostNotAllowed", why)
                .with_hint("add it to `http = { allow = [...] }` of the target in windlass.toml"));
        }
        let client = self
            .build(request)
            .map_err(|e| rejected("BadRequest", causes(&e)))?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|e| rejected("BadRequest", e.to_string()))?;
        let mut builder = client.request(method, url).timeout(request.timeout);
        for (header, value) in &request.headers {
            builder = builder.header(header, value.reveal());
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.reveal().to_owned());
        }
        let lost = |e: &reqwest::Error| transport_failure(&name, request, e);
        let mut answer = builder.send().await.map_err(|e| lost(&e))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| lost(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                let why = "the answer is larger than 1 MiB".to_owned();
                return Err(maybe_done(rejected("TooLarge", why), request));
            }
        }
        let response = HttpResponse {
            status: answer.status().as_u16(),
            headers: headers(answer.headers()),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let is_expected = match request.expected.is_empty() {
            true => (200..300).contains(&response.status),
            false => request.expected.contains(&response.status),
        };
        match is_expected {
            true => Ok(response),
            false => Err(status_failure(&name, request, &response)),
        }
    }

    fn build(&self, request: &HttpRequest) -> Result<Client, reqwest::Error> {
        let redirects = match request.is_safe() {
            true => self.redirects(request),
            false => redirect::Policy::none(),
        };
        let mut builder = Client::builder()
            .proxy(by_proxy(Proxies::of_environment()))
            .redirect(redirects)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        if let Some((certificate, key)) = &request.identity {
            let pem = format!("{certificate}\n{}", key.reveal());
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes())?);
        }
        if let Some(ca) = &request.ca {
            let trusted = reqwest::Certificate::from_pem_bundle(ca.as_bytes())?;
            builder = builder.tls_certs_only(trusted);
        }
        builder.build()
    }

    /// Redirects stay within what the target allows; what a request carries goes to no other host.
    fn redirects(&self, request: &HttpRequest) -> redirect::Policy {
        let client = self.clone();
        let carries = !request.headers.is_empty() || request.identity.is_some();
        redirect::Policy::custom(move |attempt| {
            let host = attempt.url().host_str().unwrap_or_default().to_owned();
            let is_elsewhere = attempt.previous().last().is_some_and(|from| {
                (from.scheme(), from.host_str(), from.port_or_known_default())
                    != (
                        attempt.url().scheme(),
                        attempt.url().host_str(),
                        attempt.url().port_or_known_default(),
                    )
            });
            if attempt.previous().len() > MOST_REDIRECTS {
                return attempt.error("too many redirects");
            }
            if !client.allows(&host) {
                return attempt.error(format!(
                    "redirected to `{host}`, which the target does not allow"
                ));
            }
            match is_elsewhere && carries {
                true => attempt.error(format!("redirected to `{host}`, and the request carries headers or a certificate that are not for it")),
                false => attempt.follow(),
            }
        })
    }

    fn allows(&self, host: &str) -> bool {
        let Some(allowed) = &self.allowed else {
            return true;
        };
        allowed
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|h| h.ends_with('.')),
                None => pattern == host,
            })
    }
}

/// The rule of [`Proxies`] for clients of `reqwest`, in place of its own.
pub(crate) fn by_proxy(proxies: Proxies) -> reqwest::Proxy {
    reqwest::Proxy::custom(move |url| {
        let host = url.host_str().unwrap_or_default();
        let proxy = proxies.of(url.scheme(), host, url.port())?;
        // Names are resolved by the proxy, as everywhere else; `reqwest` has a scheme of its own for that.
        Some(match proxy.strip_prefix("socks5://") {
            Some(rest) => format!("socks5h://{rest}"),
            None => proxy.to_owned(),
        })
    })
}

fn headers(found: &HeaderMap) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in found {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert(value);
    }
    headers
}

/// A request that changes something may have done so although its answer was lost.
fn maybe_done(failure: Failure, request: &HttpRequest) -> Failure {
    match request.is_safe() {
        true => failure,
        false => failure.or_done(),
    }
}

fn transport_failure(name: &str, request: &HttpRequest, error: &reqwest::Error) -> Failure {
    let (class, code) = match error {
        e if e.is_connect() => (FailureClass::Unavailable, "Unreachable"),
        e if e.is_timeout() => (FailureClass::Timeout, "Timeout"),
        e if e.is_builder() => (FailureClass::Rejected, "BadRequest"),
        e if e.is_redirect() => (FailureClass::Rejected, "BadRedirect"),
        _ => (FailureClass::Unavailable, "ConnectionLost"),
    };
    let failure = Failure::new(class, name, code, causes(error));
    match code {
        "Timeout" | "ConnectionLost" => maybe_done(failure, request),
        _ => failure,
    }
}

fn status_failure(name: &str, request: &HttpRequest, response: &HttpResponse) -> Failure {
    let class = match response.status {
        401 | 403 | 407 => FailureClass::Denied,
        408 | 504 => FailureClass::Timeout,
        409 | 412 | 423 | 425 => FailureClass::Conflict,
        429 => FailureClass::Throttled,
        500.. => FailureClass::Unavailable,
        _ => FailureClass::Rejected,
    };
    let shown: String = response.body.chars().take(SHOWN_CHARACTERS).collect();
    let message = match shown.trim() {
        "" => "no more was said".to_owned(),
        _ if request.hides_answer => MASK.to_owned(),
        shown => shown.to_owned(),
    };
    let mut failure = Failure::new(class, name, format!("HTTP{}", response.status), message);
    if let Some(after) = response.headers.get("retry-after") {
        failure = failure.with_hint(format!("the server says to come back after {after}"));
    }
    match class {
        FailureClass::Timeout | FailureClass::Unavailable => maybe_done(failure, request),
        _ => failure,
    }
}

/// The whole story of an error, without the URL, which may hold a token.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    match text.is_empty() {
        true => "the request could not be made".into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_by_name_or_domain() {
        let some = HttpClient::new(Some(vec!["a.example".into(), "*.b.example".into()]));
        for (host, is_allowed) in [
            ("a.example", true),
            ("x.a.example", false),
            ("x.b.example", true),
            ("b.example", false),
            ("evilb.example", false),
        ] {
            assert_eq!(some.allows(host), is_allowed, "{host}");
        }
        assert!(HttpClient::default().allows("anything"));
    }
}
