use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::time::timeout;

use super::wire::Problem;
use crate::error::{Kind, RunsError};
use windlass_ground::{boxed, lock};
use windlass_world::{
    outside::{BodyError, Proxies, authorities_in, by_proxy, is_own_name, read_answer},
    value::{Secret, inner_causes},
};

const CONNECT: Duration = Duration::from_secs(10);
/// The plan of an undo reads the current state, which may be slow.
const ANSWER: Duration = Duration::from_secs(300);
/// How long the server may take to begin an answer about what it has recorded. A stream begins at once, too, though its events may take long.
pub const BEGIN: Duration = Duration::from_secs(60);
/// Reads for which the server asks others first, or folds all of its runs: they may begin as late as they may end.
const SLOW: [&str; 3] = ["/undo", "/mesh", "/sightings"];

/// The pause after a renewal of the token that failed.
const RENEWALS: Duration = Duration::from_secs(30);

/// The largest answer, and the largest event: a step records at most 16 MiB, and the files of a workflow are at most as large together.
pub const LARGEST: usize = 64 << 20;
const LARGEST_REFUSAL: usize = 1 << 20;

/// The header with which a client says what it is, and the value of an assistant.
pub const CLIENT_HEADER: &str = "x-windlass-client";
pub const ASSISTANT: &str = "assistant";

/// Returns the current token of a login, renewed if it has expired; `None` if that is not possible.
pub type Renew = Arc<dyn Fn() -> Option<Secret> + Send + Sync>;

/// The address of a server, and what authenticates the caller.
#[derive(Clone)]
pub struct Address {
    pub url: String,
    /// The CAs (PEM) that must have issued its certificate, instead of those of the system.
    pub ca: Option<PathBuf>,
    pub token: Option<Secret>,
    /// Returns a valid token once the server no longer accepts this one. Blocks.
    pub renew: Option<Renew>,
    /// The files of a certificate chain and of its key (PEM), if the caller is a machine.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Sends requests to a server.
pub struct Client {
    http: reqwest::Client,
    /// The address without a trailing slash.
    pub url: String,
    token: Mutex<Option<Secret>>,
    renew: Option<Renew>,
    /// Held by the request that renews the token: when that last failed.
    renewing: tokio::sync::Mutex<Option<Instant>>,
    has_certificate: bool,
    /// The version of the server, once it is known.
    pub version: OnceLock<String>,
    /// Whether the requests are those of an assistant.
    pub is_assistant: AtomicBool,
}

impl Client {
    /// # Errors
    /// An invalid address, an address to which the token would be sent unencrypted over a network, or files that can't be used.
    pub fn new(address: Address) -> Result<Self, RunsError> {
        let wrong = |why: String| RunsError::wrong("server", why);
        let url = Url::parse(&address.url).map_err(|e| {
            wrong(format!(
                "`{}` is not a valid server address: {e}",
                address.url
            ))
            .hint(FORM)
        })?;
        let host = url.host_str().unwrap_or_default();
        let is_loopback = is_own_name(host);
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => {
                let why = format!("refusing to send a token to {url} over plain HTTP");
                return Err(wrong(why).hint("begin the address with https://"));
            }
            _ => {
                let why = format!("`{}` is not a valid server address", address.url);
                return Err(wrong(why).hint(FORM));
            }
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        builder = if is_loopback {
            builder.no_proxy()
        } else {
            builder.proxy(by_proxy(Proxies::of_environment()))
        };
        if let Some(path) = &address.ca {
            builder = builder.tls_certs_only(authorities_in(path).map_err(wrong)?);
        }
        if let Some((certificate, key)) = &address.certificate {
            let mut pem = read(certificate)?;
            pem.extend_from_slice(b"\n");
            pem.extend(read(key)?);
            let identity = reqwest::Identity::from_pem(&pem);
            let identity =
                identity.map_err(|e| wrong(format!("can't use {}: {e}", certificate.display())))?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|e| wrong(said(&e)))?;
        Ok(Self {
            http,
            url: address.url.trim_end_matches('/').to_owned(),
            token: Mutex::new(address.token),
            renew: address.renew,
            renewing: tokio::sync::Mutex::new(None),
            has_certificate: address.certificate.is_some(),
            version: OnceLock::new(),
            is_assistant: AtomicBool::new(false),
        })
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if self.is_assistant.load(Ordering::Relaxed) {
            request = request.header(CLIENT_HEADER, ASSISTANT);
        }
        request
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, RunsError> {
        let request = self.asking(path, query);
        let read = async {
            let answer = self.send(request.timeout(ANSWER), patience(path)).await?;
            self.read(path, answer).await
        };
        read.await.map_err(certain)
    }

    /// Like [`Client::get`]; returns `None` if the answer is too large.
    pub async fn get_bounded<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Option<T>, RunsError> {
        let request = self.asking(path, query);
        let read = async {
            let answer = self.send(request.timeout(ANSWER), patience(path)).await?;
            self.read_bounded(path, answer).await
        };
        read.await.map_err(certain)
    }

    fn asking(&self, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        let mut query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        if !query.is_empty() {
            query.insert(0, '?');
        }
        self.request(Method::GET, &format!("{path}{query}"))
    }

    /// Sends JSON to a path that changes nothing.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, body: &Json) -> Result<T, RunsError> {
        self.post(path, body, None).await.map_err(certain)
    }

    /// Sends JSON to a path that changes something; with a key, a repeated request has the same effect as one. If the request may have
    /// arrived but its answer is not known, the error is in doubt.
    pub async fn change<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Json,
        key: Option<&str>,
    ) -> Result<T, RunsError> {
        let asked = self.post(path, body, key).await;
        asked.map_err(|error| {
            if error.is_in_doubt {
                in_doubt(error)
            } else {
                error
            }
        })
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Json,
        key: Option<&str>,
    ) -> Result<T, RunsError> {
        let mut request = self.request(Method::POST, path).timeout(ANSWER);
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.read(path, self.send(request, ANSWER).await?).await
    }

    /// Sends a request, and returns the answer if it is not an error. If the token has expired, it is renewed, and the request is sent again. The
    /// answer must begin within `patience`.
    #[boxed]
    pub async fn send(
        &self,
        request: RequestBuilder,
        patience: Duration,
    ) -> Result<Response, RunsError> {
        let (token, again) = (self.token(), request.try_clone());
        let mut answer = self.send_with(request, token.as_ref(), patience).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some(again) = again
            && let Some(renewed) = self.renewed(token).await
        {
            answer = self.send_with(again, Some(&renewed), patience).await?;
        }
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(self.refusal(status, answer).await),
        }
    }

    async fn send_with(
        &self,
        request: RequestBuilder,
        token: Option<&Secret>,
        patience: Duration,
    ) -> Result<Response, RunsError> {
        let request = match token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        };
        match timeout(patience, request.send()).await {
            Ok(sent) => sent.map_err(|e| self.unreachable(&e)),
            Err(_) => Err(self.silent(patience)),
        }
    }

    fn token(&self) -> Option<Secret> {
        lock(&self.token).clone()
    }

    /// Returns another token than the one that the server rejected, if there is one.
    async fn renewed(&self, rejected: Option<Secret>) -> Option<Secret> {
        let renew = self.renew.clone()?;
        let is_other =
            |token: &Secret| Some(token.reveal()) != rejected.as_ref().map(Secret::reveal);
        let mut failed_at = self.renewing.lock().await;
        // Another request may have renewed it meanwhile.
        if let Some(token) = self.token().filter(is_other) {
            return Some(token);
        }
        if failed_at.is_some_and(|failed_at| failed_at.elapsed() < RENEWALS) {
            return None;
        }
        let asked = tokio::task::spawn_blocking(move || renew()).await;
        let token = asked.ok().flatten().filter(is_other);
        *failed_at = token.is_none().then(Instant::now);
        let token = token?;
        *lock(&self.token) = Some(token.clone());
        Some(token)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Response,
    ) -> Result<T, RunsError> {
        let read = self.read_bounded(path, answer).await?;
        read.ok_or_else(|| self.too_large(path))
    }

    async fn read_bounded<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Response,
    ) -> Result<Option<T>, RunsError> {
        let Some(text) = self.text(answer).await? else {
            return Ok(None);
        };
        // Some answers consist of a status only.
        let text = if text.is_empty() { &b"null"[..] } else { &text };
        let read = serde_json::from_slice(text).map_err(|e| self.unreadable(path, &e))?;
        Ok(Some(read))
    }

    /// Returns an answer's body; `None` if it is too large.
    #[boxed]
    async fn text(&self, answer: Response) -> Result<Option<Vec<u8>>, RunsError> {
        match read_answer(answer, LARGEST).await {
            Ok(text) => Ok(Some(text)),
            Err(BodyError::TooLarge(_)) => Ok(None),
            Err(BodyError::Lost(e)) => Err(self.unreachable(&e)),
        }
    }

    async fn refusal(&self, status: StatusCode, answer: Response) -> RunsError {
        let text = read_answer(answer, LARGEST_REFUSAL).await;
        let text = text.unwrap_or_default();
        let Ok(problem) = serde_json::from_slice::<Problem>(&text) else {
            let message = format!(
                "{} answered {status}, but not like a Windlass server",
                self.url
            );
            // A proxy answers like that while the server restarts, or when it has waited too long for it.
            let is_busy = matches!(status.as_u16(), 502..=504);
            let kind = if is_busy { Kind::Busy } else { Kind::Broken };
            let error = RunsError::new(kind, "server", message).hint(
                "check that the address is that of a Windlass server, and that no proxy answers instead",
            );
            return RunsError {
                is_in_doubt: status.is_server_error(),
                ..error
            };
        };
        let kind = match status.as_u16() {
            401 | 403 => Kind::Denied,
            404 => Kind::Missing,
            409 => Kind::Conflict,
            503 => Kind::Busy,
            400..500 => Kind::Wrong,
            _ => Kind::Broken,
        };
        let mut error = problem.error(kind);
        if status == StatusCode::UNAUTHORIZED {
            let has_none = self.token().is_none() && !self.has_certificate;
            if has_none {
                error.message = format!("{} requires a login", self.url);
            } else if error.code == "not-authenticated" {
                error.message = format!("{} does not accept this token", self.url);
            }
            error.hint = Some("to log in: `windlass login`".into());
        }
        error
    }

    /// Returns the error for a server that can't be reached.
    pub fn unreachable(&self, error: &reqwest::Error) -> RunsError {
        let why = said(error);
        let message = format!("can't reach {}: {why}", self.url);
        let failed = RunsError {
            is_in_doubt: !error.is_connect() && !error.is_builder(),
            ..RunsError::new(Kind::Busy, "server", message)
        };
        // The causes of TLS errors have no type of their own here.
        if why.contains("certificate") {
            failed.hint("if your own CA issued its certificate, give that CA with --server-ca")
        } else {
            failed.hint("check that the server is running, and that --server, WINDLASS_SERVER or `server` in windlass.toml has its address")
        }
    }

    /// Returns the error for a server that accepts a request and does not begin an answer.
    fn silent(&self, patience: Duration) -> RunsError {
        let seconds = patience.as_secs();
        let message = format!("{} has not answered for {seconds} s", self.url);
        RunsError {
            is_in_doubt: true,
            ..RunsError::new(Kind::Busy, "server", message)
        }
        .hint("check that the server is not stopped or overloaded, then run the command again")
    }

    /// Returns the error for an answer that is larger than any that a server sends.
    pub fn too_large(&self, path: &str) -> RunsError {
        let most = LARGEST >> 20;
        let message = format!(
            "the answer of {} to {path} is larger than {most} MiB",
            self.url
        );
        RunsError {
            is_in_doubt: true,
            ..RunsError::broken("server", message)
        }
    }

    /// Returns the error for an answer that this version does not understand.
    pub fn unreadable(&self, path: &str, error: &serde_json::Error) -> RunsError {
        let own = env!("CARGO_PKG_VERSION");
        let version = self.version.get().map_or("unknown", String::as_str);
        let message = format!(
            "the answer of {} to {path} can't be read: {error} (the server is windlass {version}, this is {own})",
            self.url
        );
        let failed = RunsError {
            is_in_doubt: true,
            ..RunsError::broken("server", message)
        };
        if version == own {
            failed
        } else {
            failed.hint("use the same version of windlass as the server")
        }
    }
}

/// Returns how long the answer to a read may take to begin.
fn patience(path: &str) -> Duration {
    if SLOW.iter().any(|slow| path.ends_with(slow)) {
        ANSWER
    } else {
        BEGIN
    }
}

/// Returns the error of a request that changes nothing, whether or not it arrived.
fn certain(error: RunsError) -> RunsError {
    RunsError {
        is_in_doubt: false,
        ..error
    }
}

/// Returns the error of a request that may have been carried out.
pub fn in_doubt(error: RunsError) -> RunsError {
    RunsError {
        is_in_doubt: true,
        message: format!(
            "it is not known whether the server carried out the request: {}",
            error.message
        ),
        ..error
    }
    .hint("to see the state of its runs: `windlass runs`")
}

const FORM: &str = "write it as https://windlass.example.com";

fn read(path: &Path) -> Result<Vec<u8>, RunsError> {
    std::fs::read(path).map_err(|e| {
        let message = format!("can't read {}: {e}", path.display());
        RunsError::wrong("server", message)
    })
}

/// Returns the causes of an error; its own message repeats the address.
fn said(error: &reqwest::Error) -> String {
    inner_causes(error).unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpListener,
        thread,
    };

    use serde_json::json;

    use super::*;

    /// Answers one request after another, each on its own connection: an answer of `None` is a lost connection. Returns the lines of the
    /// requests that name a token.
    fn serve(
        listener: TcpListener,
        answers: Vec<Option<(u16, Json)>>,
    ) -> thread::JoinHandle<Vec<String>> {
        thread::spawn(move || {
            let mut tokens = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut reader = BufReader::new(stream.try_clone().expect("the same"));
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let field = line.trim_end().to_ascii_lowercase();
                    if let Some(sent) = field.strip_prefix("content-length: ") {
                        length = sent.parse().expect("a length");
                    } else if field.starts_with("authorization:") {
                        tokens.push(field);
                    }
                    line.clear();
                }
                reader.read_exact(&mut vec![0; length]).expect("a body");
                if let Some((status, body)) = answer {
                    let body = body.to_string();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    stream
                        .write_all((head + body.as_str()).as_bytes())
                        .expect("answered");
                }
            }
            tokens
        })
    }

    fn client(listener: &TcpListener, renew: Option<Renew>) -> Client {
        let address = Address {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            ca: None,
            token: Some(Secret::new("old")),
            renew,
            certificate: None,
        };
        Client::new(address).expect("a client")
    }

    fn refused() -> Option<(u16, Json)> {
        Some((401, json!({ "code": "not-authenticated", "detail": "no" })))
    }

    #[tokio::test]
    async fn a_token_that_expires_is_renewed_once() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = client(&listener, Some(Arc::new(|| Some(Secret::new("new")))));
        let fine = || Some((200, json!(7)));
        let served = serve(listener, vec![refused(), fine(), fine(), refused()]);
        for _ in 0..2 {
            assert_eq!(client.get::<i64>("/x", &[]).await.ok(), Some(7));
        }
        // The renewed one is not accepted either, and there is no other.
        let error = client.get::<i64>("/x", &[]).await.expect_err("refused");
        assert_eq!(error.kind, Kind::Denied);
        let tokens = served.join().expect("served");
        assert_eq!(
            tokens,
            ["old", "new", "new", "new"].map(|token| format!("authorization: bearer {token}"))
        );
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_is_silent_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = client(&listener, None);
        let request = client.asking("/api/v1/runs", &[]);
        let asked = client.send(request, Duration::from_millis(1100)).await;
        let error = asked.expect_err("no answer");
        assert!(
            error.message.ends_with(" has not answered for 1 s"),
            "{error}"
        );
        assert_eq!(patience("/api/v1/runs"), BEGIN);
        assert_eq!(patience("/api/v1/runs/r/undo"), ANSWER);
    }

    #[tokio::test]
    async fn a_request_whose_answer_is_lost_may_have_been_carried_out() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = client(&listener, None);
        let (bad_gateway, html) = (Some((502, json!("<html>"))), Some((200, json!("<html>"))));
        let conflict = Some((409, json!({ "code": "nothing-to-cancel", "detail": "no" })));
        let answers = vec![None, bad_gateway, html, conflict, refused(), None];
        let served = serve(listener, answers);
        for is_in_doubt in [true, true, true, false, false] {
            let sent = client.change::<i64>("/x", &json!({}), None).await;
            let error = sent.expect_err("no answer");
            assert_eq!(error.is_in_doubt, is_in_doubt, "{error}");
        }
        // A request that changes nothing is never in doubt.
        let asked = client.ask::<i64>("/x", &json!({})).await;
        assert!(!asked.expect_err("no answer").is_in_doubt);
        served.join().expect("served");
        // Nobody listens any more.
        let sent = client.change::<i64>("/x", &json!({}), None).await;
        assert!(!sent.expect_err("no answer").is_in_doubt);
    }
}
