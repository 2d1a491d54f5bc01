use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::wire::Problem;
use crate::error::{Kind, RunsError};
use windlass_ground::boxed;
use windlass_world::{
    outside::{BodyError, Proxies, authorities_in, by_proxy, is_own_name, read_answer},
    value::{Secret, inner_causes},
};

const CONNECT: Duration = Duration::from_secs(10);
/// The plan of an undo reads the current state, which may be slow.
const ANSWER: Duration = Duration::from_secs(300);

/// The largest answer, and the largest event: a step records at most 16 MiB, and the files of a workflow are at most as large together.
pub const LARGEST: usize = 64 << 20;
const LARGEST_REFUSAL: usize = 1 << 20;

/// The header with which a client says what it is, and the value of an assistant.
pub const CLIENT_HEADER: &str = "x-windlass-client";
pub const ASSISTANT: &str = "assistant";

/// The address of a server, and what authenticates the caller.
#[derive(Clone)]
pub struct Address {
    pub url: String,
    /// The CAs (PEM) that must have issued its certificate, instead of those of the system.
    pub ca: Option<PathBuf>,
    pub token: Option<Secret>,
    /// The files of a certificate chain and of its key (PEM), if the caller is a machine.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Sends requests to a server.
pub struct Client {
    http: reqwest::Client,
    /// The address without a trailing slash.
    pub url: String,
    token: Option<Secret>,
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
            token: address.token,
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
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, RunsError> {
        let request = self.asking(path, query);
        let answer = self.send(request.timeout(ANSWER)).await?;
        self.read(path, answer).await
    }

    /// Like [`Client::get`]; returns `None` if the answer is too large.
    pub async fn get_bounded<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Option<T>, RunsError> {
        let request = self.asking(path, query);
        let answer = self.send(request.timeout(ANSWER)).await?;
        self.read_bounded(path, answer).await
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

    /// Sends JSON; with a key, a repeated request has the same effect as one.
    pub async fn post<T: DeserializeOwned>(
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
        self.read(path, self.send(request).await?).await
    }

    /// Sends a request, and returns the answer if it is not an error.
    #[boxed]
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, RunsError> {
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(self.refusal(status, answer).await),
        }
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
            return RunsError::broken("server", message).hint(
                "check that the address is that of a Windlass server, and that no proxy answers instead",
            );
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
            let has_none = self.token.is_none() && !self.has_certificate;
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
        let failed = RunsError::new(Kind::Busy, "server", message);
        // The causes of TLS errors have no type of their own here.
        if why.contains("certificate") {
            failed.hint("if your own CA issued its certificate, give that CA with --server-ca")
        } else {
            failed.hint("check that the server is running, and that --server, WINDLASS_SERVER or `server` in windlass.toml has its address")
        }
    }

    /// Returns the error for an answer that is larger than any that a server sends.
    pub fn too_large(&self, path: &str) -> RunsError {
        let most = LARGEST >> 20;
        let message = format!(
            "the answer of {} to {path} is larger than {most} MiB",
            self.url
        );
        RunsError::broken("server", message)
    }

    /// Returns the error for an answer that this version does not understand.
    pub fn unreadable(&self, path: &str, error: &serde_json::Error) -> RunsError {
        let own = env!("CARGO_PKG_VERSION");
        let version = self.version.get().map_or("unknown", String::as_str);
        let message = format!(
            "the answer of {} to {path} can't be read: {error} (the server is windlass {version}, this is {own})",
            self.url
        );
        let failed = RunsError::broken("server", message);
        if version == own {
            failed
        } else {
            failed.hint("use the same version of windlass as the server")
        }
    }
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
