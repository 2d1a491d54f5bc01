use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderValue, Request as HttpRequest, Response, StatusCode, header::HeaderName},
};
use tokio::net::TcpListener;

use super::answer::{Answer, Request, Site};
use crate::{
    ground::{BodyError, CLIENT_TIMEOUT, Operation, log_request, receive_body, serve},
    value::Value,
};
use windlass_ground::lock;

/// The largest body of a request, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// Receives each request with its answer.
pub type OnAnswer = Arc<dyn Fn(&Request, &Answer) + Send + Sync>;

/// A mock server that listens on loopback.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    site: Arc<Mutex<Site>>,
    on_answer: OnAnswer,
}

impl Server {
    /// Listens on a port of 127.0.0.1; 0 chooses a free port. `on_answer` receives each request with its answer.
    ///
    /// # Errors
    /// Fails if the port is in use.
    pub async fn listen(site: Site, port: u16, on_answer: OnAnswer) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            shared: Shared {
                site: Arc::new(Mutex::new(site)),
                on_answer,
            },
        })
    }

    /// Returns the address of the server: `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` completes.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let router = Router::new()
            .fallback(handle)
            .layer(axum::middleware::from_fn(log_request))
            .with_state(self.shared);
        serve(self.listener, router, CLIENT_TIMEOUT, stop).await;
    }
}

async fn handle(State(shared): State<Shared>, request: HttpRequest<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = match receive_body(body, LARGEST_BODY, CLIENT_TIMEOUT).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return plain(StatusCode::PAYLOAD_TOO_LARGE),
        Err(BodyError::TooSlow) => return plain(StatusCode::REQUEST_TIMEOUT),
        Err(BodyError::Broken) => return plain(StatusCode::BAD_REQUEST),
    };
    let text =
        |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let asked = Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: query
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect::<BTreeMap<_, _>>(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let site = shared.site.clone();
    // Expressions are evaluated quickly, so other requests can wait for the lock.
    let answer = lock(&site).answer(&asked);
    tokio::time::sleep(answer.delay).await;
    (shared.on_answer)(&asked, &answer);
    if answer.is_dropped {
        return dropped();
    }
    let mut response = response_of(answer);
    // The whole path may be logged: a mock has no secrets.
    response.extensions_mut().insert(Operation(asked.path));
    response
}

fn response_of(answer: Answer) -> Response<Body> {
    let mut response =
        plain(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &answer.headers {
        let header = HeaderName::try_from(name).ok();
        let Some((header, value)) = header.zip(HeaderValue::try_from(value).ok()) else {
            let why = format!("`{name}: {value}` is not a valid header");
            return response_of(Answer::failed(&why));
        };
        response.headers_mut().append(header, value);
    }
    *response.body_mut() = Body::from(answer.body);
    response
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Returns an answer whose body fails, so that the connection is closed before the answer is complete.
fn dropped() -> Response<Body> {
    let broken =
        futures_util::stream::iter([Err::<axum::body::Bytes, _>(io::Error::other("dropped"))]);
    Response::new(Body::from_stream(broken))
}
