mod authorities;
mod redirect;
mod secure;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use reqwest::{
    Client, Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use windlass_ground::boxed;

use super::{
    answer::{Client as Answering, LOST, NOT_SENT, proof, proof_of_status},
    proxy::Proxies,
    trace::{TRACEPARENT_HEADER, traceparent},
    transport::Transport,
};
use crate::{
    value::{Failure, FailureClass, MASK, Proof, Secret, inner_causes},
    x509::{Certificate, PrivateKey, pem},
};
pub use authorities::{authorities_in, read_authorities};
use redirect::Hop;
pub use secure::{is_own_name, must_be_secure};

/// Answers are stored in the journal, which takes 1 MiB for a call including everything around it. The limit applies to the
/// decoded size, so a small compressed answer can't become large.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;
/// How much of an unexpected answer its failure contains. Secrets are removed before it is cut for display.
const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// How long a connection waits for another request. Servers close idle ones after 2 s (Gunicorn) to 75 s (nginx): one that has
/// waited for less than a second is not closed while a request is on its way.
const IDLE: Duration = Duration::from_secs(1);

/// A client for the HTTP servers that the target allows.
#[derive(Clone, Debug, Default)]
pub struct HttpClient {
    /// Host names, or `*.domain`; `None` for all hosts.
    allowed: Option<Vec<String>>,
    /// The clients for requests that trust the system's CAs and present no certificate. They are created once: reading these CAs takes longer
    /// than a request.
    once: Arc<OnceLock<Client>>,
    repeatable: Arc<OnceLock<Client>>,
}

#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: String,
    /// The URL with its query; both may contain a token.
    pub url: Secret,
    /// The URL in records and errors.
    pub shown: String,
    pub headers: Vec<(String, Secret)>,
    pub body: Option<Secret>,
    pub timeout: Duration,
    /// A client certificate with its chain, and its key, PEM.
    pub identity: Option<(String, Secret)>,
    /// The CAs to trust instead of those of the system, PEM.
    pub ca: Option<String>,
    /// The statuses that are not a failure; empty for all 2xx.
    pub expected: Vec<u16>,
    /// Whether 404 and 410 are not failures either.
    pub expects_gone: bool,
    /// Whether a failure must not quote the answer.
    pub hides_answer: bool,
    /// Whether it changes nothing although its method might: a login, a search.
    pub only_reads: bool,
    /// Whether a header of it holds a key, by which the server recognises it when it is sent again.
    pub has_key: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body after decoding of gzip and deflate.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// Returns a request without headers or body, for which all 2xx are a success. Its timeout is zero.
    pub fn new(method: &str, shown: &str, url: String) -> Self {
        Self {
            method: method.into(),
            url: Secret::new(url),
            shown: shown.into(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::ZERO,
            identity: None,
            ca: None,
            expected: Vec::new(),
            expects_gone: false,
            hides_answer: false,
            only_reads: false,
            has_key: false,
        }
    }

    /// Says whether it does not ask for a change (RFC 9110, "safe").
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// Says whether it changes nothing on the server.
    pub fn is_read(&self) -> bool {
        self.only_reads || self.is_safe()
    }

    /// Says whether sending it twice has the same effect as once (RFC 9110, "idempotent").
    pub fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self.method.as_str(), "PUT" | "DELETE")
    }

    /// Says whether it can be sent again if its answer is lost. Others get a connection of their own: if the server closed a kept
    /// one at the same moment, it would not be known whether they were done.
    fn is_repeatable(&self) -> bool {
        self.is_read() || self.is_idempotent() || self.has_key
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.shown)
    }

    fn expects(&self, status: u16) -> bool {
        if self.expected.is_empty() {
            (200..300).contains(&status)
        } else {
            self.expected.contains(&status)
        }
    }
}

impl HttpResponse {
    /// Returns the body for people, cut to the size for a failure.
    pub(super) fn said(&self) -> String {
        if self.body.len() <= MAX_MESSAGE_BYTES {
            return String::from_utf8_lossy(&self.body).into_owned();
        }
        // Cut at the end of a word: a part of a secret would not be recognised.
        let head = &self.body[..MAX_MESSAGE_BYTES];
        let end = head.iter().rposition(u8::is_ascii_whitespace);
        String::from_utf8_lossy(&head[..end.unwrap_or(0)]).into_owned() + " …"
    }
}

/// Returns a URL for people: without user, password, query and fragment, which often contain tokens.
pub fn shown_url(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else {
        return bare.rsplit('@').next().unwrap_or_default().to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Returns a secret URL for people: only the server, which DNS and TLS reveal anyway.
pub fn shown_secret_url(url: &Secret) -> String {
    match url.reveal().parse::<Url>() {
        Ok(url) if url.has_host() => format!("{}/{MASK}", url.origin().ascii_serialization()),
        _ => MASK.into(),
    }
}

/// Checks that requests can be sent to a URL.
///
/// # Errors
/// A text that is not a URL, or a URL with another scheme.
pub fn check_url(url: &str) -> Result<(), String> {
    let shown = shown_url(url);
    match url.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        Ok(_) => Err(format!(
            "`{shown}` is not a URL that begins with `https://` or `http://`"
        )),
        Err(e) => Err(format!("`{shown}` is not a URL: {e}")),
    }
}

/// Checks that a header can be sent. The value may be a secret, so the error does not have it.
///
/// # Errors
/// A name or a value that HTTP does not allow.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    if HeaderName::try_from(name).is_err() {
        return Err(format!("`{name}` is not a valid name of a header"));
    }
    match HeaderValue::try_from(value) {
        Ok(_) => Ok(()),
        Err(_) if value.trim() != value && HeaderValue::try_from(value.trim()).is_ok() => {
            Err(format!(
                "the value of the header `{name}` begins or ends with a line break: remove it with `text.trim()`"
            ))
        }
        Err(_) => Err(format!(
            "the value of the header `{name}` has a line break or another character that a header can't have"
        )),
    }
}

/// Says whether a URL contains a user or a password, which are sent as `Authorization`.
pub fn has_credentials(url: &Secret) -> bool {
    let parsed = url.reveal().parse::<Url>();
    parsed.is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

impl HttpClient {
    pub fn new(allowed: Option<Vec<String>>) -> Self {
        let lower = |hosts: Vec<String>| hosts.iter().map(|h| h.to_ascii_lowercase()).collect();
        Self {
            allowed: allowed.map(lower),
            once: Arc::default(),
            repeatable: Arc::default(),
        }
    }

    /// Sends one request. Follows redirects if the request changes nothing.
    ///
    /// # Errors
    /// A host that the target does not allow, a server that can't be reached or answers with an unexpected status, or an answer
    /// over 1 MiB.
    #[boxed]
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        let name = request.name();
        let rejected =
            |code: &str, why: String| Failure::new(FailureClass::Rejected, name.clone(), code, why);
        let url: Url = request
            .url
            .reveal()
            .parse()
            .map_err(|e| rejected("BadUrl", format!("{}: {e}", request.shown)))?;
        let host = url.host_str().unwrap_or_default();
        self.check_host(&name, host)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|e| rejected("BadRequest", e.to_string()))?;
        let deadline = Instant::now() + request.timeout;
        let lost = |e: &reqwest::Error| transport_failure(&name, request, e);
        let mut hop = Hop::first(url, method);
        let mut client = None;
        let mut answer = loop {
            let sender = match client.take() {
                Some(client) => client,
                None => {
                    let client = self.client(request, hop.is_bare);
                    client.map_err(|why| rejected("BadRequest", why))?
                }
            };
            check_proxy(&hop.url).map_err(|why| {
                rejected("BadProxy", why).with_hint(
                    "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name a proxy as http://HOST:PORT",
                )
            })?;
            let asked = ask(&sender, &hop, request, deadline);
            let answer = asked.await.map_err(|e| lost(&e))?;
            let next = hop
                .next(&answer, request, |host| self.allows(host))
                .map_err(|why| rejected("BadRedirect", why))?;
            let Some(next) = next else { break answer };
            // A request to another host uses a client without a certificate.
            client = (next.is_bare == hop.is_bare).then_some(sender);
            hop = next;
        };
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| lost(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                let why = "the answer is larger than 1 MiB".to_owned();
                let proof =
                    proof_of_status(Answering::Http, &request.method, answer.status().as_u16());
                let failure = rejected("TooLarge", why).with_hint(too_large(request));
                return Err(proving(failure, request, proof));
            }
        }
        let response = HttpResponse {
            status: answer.status().as_u16(),
            headers: headers(answer.headers()),
            body,
        };
        judge(request, response)
    }

    fn client(&self, request: &HttpRequest, is_bare: bool) -> Result<Client, String> {
        let is_plain = request.ca.is_none() && (is_bare || request.identity.is_none());
        if !is_plain {
            return build(request, is_bare);
        }
        let kept = if request.is_repeatable() {
            &self.repeatable
        } else {
            &self.once
        };
        if let Some(client) = kept.get() {
            return Ok(client.clone());
        }
        let client = build(request, is_bare)?;
        Ok(kept.get_or_init(|| client).clone())
    }

    /// Rejects a host that the target does not allow.
    ///
    /// # Errors
    /// The failure that a call would have.
    pub fn check_host(&self, operation: &str, host: &str) -> Result<(), Failure> {
        if self.allows(host) {
            return Ok(());
        }
        let why = format!("the target does not allow the host `{host}`");
        let refused = Failure::new(FailureClass::Rejected, operation, "HostNotAllowed", why);
        Err(refused
            .with_hint("add it to `http = { allow = [...] }` of the target in windlass.toml"))
    }

    /// Rejects a URL whose host the target does not allow.
    ///
    /// # Errors
    /// As [`HttpClient::check_host`]. A text that is not a URL is not rejected here.
    pub fn check_host_of(&self, url: &str) -> Result<(), Failure> {
        match url.parse::<Url>() {
            Ok(url) => self.check_host("", url.host_str().unwrap_or_default()),
            Err(_) => Ok(()),
        }
    }

    fn allows(&self, host: &str) -> bool {
        let Some(allowed) = &self.allowed else {
            return true;
        };
        // URLs have host names in lower case already; others have them as they were written.
        let host = host.to_ascii_lowercase();
        allowed
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|h| h.ends_with('.')),
                None => *pattern == host,
            })
    }
}

/// Checks an answer against the expectations of its request.
///
/// # Errors
/// An unexpected status, as a failure with what it proves.
pub fn judge(request: &HttpRequest, response: HttpResponse) -> Result<HttpResponse, Failure> {
    let is_gone = request.expects_gone && matches!(response.status, 404 | 410);
    if request.expects(response.status) || is_gone {
        Ok(response)
    } else {
        Err(status_failure(&request.name(), request, &response))
    }
}

/// Returns the client certificate with its chain, and its key, in the format of `reqwest`.
fn identity(certificate: &str, key: &Secret) -> Result<Secret, String> {
    let certificates = Certificate::read_all(certificate.as_bytes())
        .map_err(|e| format!("`client_certificate`: {e}"))?;
    let key = PrivateKey::read(key.reveal_bytes(), None).map_err(|e| match e.hint() {
        Some(hint) => format!("`client_key`: {e}; {hint}"),
        None => format!("`client_key`: {e}"),
    })?;
    let mut text = key.to_pem().reveal().to_owned();
    for certificate in certificates {
        text.push_str(&pem::encode("CERTIFICATE", &certificate.der));
    }
    Ok(Secret::new(text))
}

fn build(request: &HttpRequest, is_bare: bool) -> Result<Client, String> {
    let mut builder = Client::builder()
        .proxy(by_proxy(Proxies::of_environment()))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(if request.is_repeatable() {
            usize::MAX
        } else {
            0
        })
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
    if let Some((certificate, key)) = request.identity.as_ref().filter(|_| !is_bare) {
        let pem = identity(certificate, key)?;
        let read = reqwest::Identity::from_pem(pem.reveal().as_bytes());
        builder = builder.identity(read.map_err(|e| why(&e))?);
    }
    if let Some(ca) = &request.ca {
        let trusted = read_authorities(ca.as_bytes()).map_err(|e| format!("`ca`: {e}"))?;
        builder = builder.tls_certs_only(trusted);
    }
    builder.build().map_err(|e| why(&e))
}

async fn ask(
    client: &Client,
    hop: &Hop,
    request: &HttpRequest,
    deadline: Instant,
) -> Result<reqwest::Response, reqwest::Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut builder = client
        .request(hop.method.clone(), hop.url.clone())
        .timeout(left);
    if !hop.is_bare {
        for (header, value) in &request.headers {
            builder = builder.header(header, value.reveal());
        }
    }
    let names_one =
        |(header, _): &(String, Secret)| header.eq_ignore_ascii_case(TRACEPARENT_HEADER);
    // A header of the script takes precedence.
    if let Some(parent) = traceparent().filter(|_| !request.headers.iter().any(names_one)) {
        builder = builder.header(TRACEPARENT_HEADER, parent);
    }
    if let Some(body) = request.body.as_ref().filter(|_| hop.has_body) {
        builder = builder.body(body.reveal_bytes().to_vec());
    }
    builder.send().await
}

/// Refuses a proxy that the client would silently leave out.
fn check_proxy(url: &Url) -> Result<(), String> {
    let proxies = Proxies::of_environment();
    let host = url.host_str().unwrap_or_default();
    let Some(proxy) = proxies.of(url.scheme(), host, url.port()) else {
        return Ok(());
    };
    let is_known = |read: &Url| ["http", "https", "socks5", "socks5h"].contains(&read.scheme());
    match Url::parse(proxy) {
        Ok(read) if is_known(&read) && read.has_host() => Ok(()),
        // It may contain a password.
        _ => Err(format!(
            "the proxy of the environment for {host} is not a valid one"
        )),
    }
}

/// Applies the rule of [`Proxies`] to a client of `reqwest`, instead of its own rule.
pub fn by_proxy(proxies: Proxies) -> reqwest::Proxy {
    reqwest::Proxy::custom(move |url| {
        let host = url.host_str().unwrap_or_default();
        let proxy = proxies.of(url.scheme(), host, url.port())?;
        // The proxy resolves names, as in all other clients; `reqwest` has a separate scheme for that.
        Some(match proxy.strip_prefix("socks5://") {
            Some(rest) => format!("socks5h://{rest}"),
            None => proxy.to_owned(),
        })
    })
}

pub(super) fn headers(found: &HeaderMap) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in found {
        // A value that is not UTF-8 is read as Latin-1, as in older HTTP: each byte becomes one character.
        let value = match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => text.to_owned(),
            Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
        };
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert(value);
    }
    headers
}

/// Adds to a failure what it proves: a request that changes something may have done so even if it failed.
fn proving(failure: Failure, request: &HttpRequest, proof: Proof) -> Failure {
    if request.is_read() {
        failure
    } else {
        failure.proving(proof)
    }
}

/// Returns what can be done about an answer that is too large to be recorded.
pub fn too_large(request: &HttpRequest) -> &'static str {
    if request.is_read() {
        "ask for less of it, or let a program write it to a file: `exec::run(\"curl\", …)`"
    } else {
        "the server has done what was asked, and a resume does not ask it again; in the next run, ask for a shorter answer"
    }
}

fn transport_failure(name: &str, request: &HttpRequest, error: &reqwest::Error) -> Failure {
    let (class, code) = match error {
        e if e.is_connect() => (FailureClass::Unavailable, Transport::code_of(e)),
        e if e.is_timeout() => (FailureClass::Timeout, "Timeout"),
        e if e.is_builder() => (FailureClass::Rejected, "BadRequest"),
        e if e.is_decode() => (FailureClass::Unavailable, "BadEncoding"),
        _ => (FailureClass::Unavailable, "ConnectionLost"),
    };
    let answer = if error.is_connect() || error.is_builder() {
        NOT_SENT
    } else {
        LOST
    };
    let failure = Failure::new(class, name, code, why(error));
    proving(
        failure,
        request,
        proof(Answering::Http, &request.method, answer),
    )
}

fn status_failure(name: &str, request: &HttpRequest, response: &HttpResponse) -> Failure {
    let class = FailureClass::of_status(response.status);
    let redirect = redirected(request, response);
    let message = match (response.said().trim(), &redirect) {
        (_, Some(elsewhere)) => elsewhere.clone(),
        ("", None) => "no details were given".to_owned(),
        _ if request.hides_answer => MASK.to_owned(),
        (said, None) => said.to_owned(),
    };
    let mut failure = Failure::new(class, name, format!("HTTP{}", response.status), message);
    if redirect.is_some() {
        failure = failure.with_hint(
            "a redirect of a request that changes something is not followed: send it to where the server redirects it",
        );
    }
    if let Some(after) = response.headers.get("retry-after") {
        // Else it is a date.
        failure.retry_after = after.parse().ok();
        failure = failure.with_hint(format!("the server says to come back after {after}"));
    }
    proving(
        failure,
        request,
        proof_of_status(Answering::Http, &request.method, response.status),
    )
}

/// Says where a server redirects a request to, without what may be secret in that URL.
fn redirected(request: &HttpRequest, response: &HttpResponse) -> Option<String> {
    // 303 is the answer to a request that was carried out.
    if !matches!(response.status, 301 | 302 | 307 | 308) || request.is_safe() {
        return None;
    }
    let location = response.headers.get("location")?;
    let shown = if request.hides_answer {
        MASK.to_owned()
    } else {
        shown_url(location)
    };
    Some(format!("the server redirects it to {shown}"))
}

/// Returns all causes of an error, without its own message: that has the URL, which may contain a token.
fn why(error: &reqwest::Error) -> String {
    inner_causes(error).unwrap_or_else(|| "the request could not be made".into())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn g5_b5_a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://h.example/a/b?token=x#y", "https://h.example/a/b"),
            (
                "https://user:pa@ss@h.example:8443/a@b",
                "https://h.example:8443/a@b",
            ),
            ("https://user:pass@h.example?q=/x", "https://h.example"),
            ("user:pass@no url", "no url"),
        ] {
            assert_eq!(shown_url(url), shown, "{url}");
        }
        let secret = |text: &str| shown_secret_url(&Secret::new(text));
        assert_eq!(
            secret("https://u:p@hooks.example:8443/T0/B1?x=y"),
            "https://hooks.example:8443/‹secret›"
        );
        assert_eq!(secret("no url"), MASK);
    }

    /// Answers every request with 204, and counts the connections. One thread for each.
    fn counting() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let count = Arc::new(AtomicUsize::new(0));
        let accepted = count.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let mut stream = stream.expect("a connection");
                thread::spawn(move || {
                    let reading = stream.try_clone().expect("a second handle");
                    for line in BufReader::new(reading).lines() {
                        // The requests of this test have no body.
                        if line.is_ok_and(|line| line.is_empty()) {
                            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                            stream.write_all(answer).expect("sent");
                        }
                    }
                });
            }
        });
        (format!("http://{address}/"), count)
    }

    #[tokio::test]
    async fn only_requests_that_can_be_repeated_share_a_connection() {
        let client = HttpClient::default();
        for (method, has_key, connections) in
            [("PUT", false, 1), ("POST", true, 1), ("POST", false, 3)]
        {
            let (url, count) = counting();
            let request = HttpRequest {
                timeout: Duration::from_secs(30),
                has_key,
                ..HttpRequest::new(method, &url.clone(), url)
            };
            for _ in 0..3 {
                client.send(&request).await.expect("answered");
            }
            let count = count.load(Ordering::Relaxed);
            assert_eq!(count, connections, "{method}, key: {has_key}");
        }
    }

    #[test]
    fn a_redirect_that_is_not_followed_says_where_to() {
        let url = "http://a.example/x";
        let mut request = HttpRequest::new("PUT", url, url.into());
        let response = HttpResponse {
            status: 308,
            headers: BTreeMap::from([(
                "location".to_owned(),
                "https://b.example/y?token=x".to_owned(),
            )]),
            body: Vec::new(),
        };
        let failure = judge(&request, response.clone()).expect_err("not expected");
        assert_eq!(
            failure.message,
            "the server redirects it to https://b.example/y"
        );
        assert!(
            failure
                .hint
                .is_some_and(|hint| hint.contains("is not followed"))
        );
        request.hides_answer = true;
        let failure = judge(&request, response).expect_err("not expected");
        assert!(failure.message.contains(MASK), "{failure}");
    }

    #[test]
    fn hosts_are_allowed_by_name_or_domain() {
        let some = HttpClient::new(Some(vec!["A.example".into(), "*.B.Example".into()]));
        for (host, is_allowed) in [
            ("a.example", true),
            ("A.EXAMPLE", true),
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
