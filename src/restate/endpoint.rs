//! The socket to which Restate connects.

use std::{
    future::{Ready, ready},
    io::Cursor,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::HeaderMap,
    server::conn::http2,
    service::Service,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use restate_sdk::{
    endpoint::{Endpoint, ResponseBody},
    hyper::HyperEndpoint,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use windlass_ground::Trouble;
use windlass_journal::JournalError;
use windlass_world::x509::read_identity;

/// What every client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const BREATH: Duration = Duration::from_millis(100);

/// Where a worker listens, and how it identifies itself.
#[derive(Clone, Debug)]
pub struct Listen {
    pub address: SocketAddr,
    /// Certificate chain and key, as PEM files; without them it speaks plain HTTP/2.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// How long a client may take for the TLS handshake, and again for the preface of HTTP/2. After the same time of silence, the worker
    /// sends a ping, which must be answered within that time: what Restate asked for ends with its connection.
    pub timeout: Duration,
}

/// The reason why a worker can't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("can't listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("can't use the certificate {path}: {why}")]
    Certificate { path: String, why: String },
    #[error("`{key}` is no request identity key: {why}")]
    Identity { key: String, why: String },
    #[error("can't keep secrets")]
    Journal(#[from] JournalError),
}

/// A socket that accepts connections.
pub(super) struct Socket {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    timeout: Duration,
    pub address: SocketAddr,
}

impl Socket {
    pub async fn open(listen: &Listen) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen {
            address: listen.address,
            source,
        };
        let listener = TcpListener::bind(listen.address).await.map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            tls: listen.tls.as_ref().map(acceptor).transpose()?,
            timeout: listen.timeout,
        })
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, endpoint: Endpoint) {
        let service = Door(HyperEndpoint::new(endpoint));
        let mut trouble = Trouble::with("accept connections");
        loop {
            // After a failed accept, the other side connects again.
            let accepted = self.listener.accept().await;
            trouble.note(&accepted);
            let Ok((stream, _)) = accepted else {
                // Usually there are too many open files, some of which will be closed.
                tokio::time::sleep(BREATH).await;
                continue;
            };
            // Otherwise, every action waits for a delayed acknowledgement, some 40 ms.
            let _ = stream.set_nodelay(true);
            let (tls, service) = (self.tls.clone(), service.clone());
            tokio::spawn(connection(stream, tls, self.timeout, service));
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, timeout: Duration, service: Door) {
    match tls {
        None => speak(stream, timeout, service).await,
        Some(tls) => match tokio::time::timeout(timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => speak(stream, timeout, service).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    timeout: Duration,
    service: Door,
) {
    // hyper sends no ping before the preface has arrived, and waits for it without a limit.
    let mut preface = [0; PREFACE];
    let read = tokio::time::timeout(timeout, stream.read_exact(&mut preface));
    if !matches!(read.await, Ok(Ok(_))) {
        tracing::debug!("a client did not begin to speak HTTP/2");
        return;
    }
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(preface).chain(reader), writer);
    // A broken connection breaks its invocations, and Restate retries those.
    let ended = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(timeout)
        .keep_alive_timeout(timeout)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Answers requests without a valid signature with only a status: their senders must not learn what runs here or why
/// they were rejected.
#[derive(Clone)]
struct Door(HyperEndpoint);

impl Service<Request<Incoming>> for Door {
    type Response = Response<Answer>;
    type Error = <HyperEndpoint as Service<Request<Incoming>>>::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        // The path names a service and a handler, or another request of the server: no path contains an id.
        let (method, route) = (request.method().clone(), request.uri().path().to_owned());
        ready(self.0.call(request).into_inner().map(|answer| {
            let status = answer.status().as_u16();
            tracing::info!(target: "windlass::requests", %method, route, status, "request");
            let (mut parts, body) = answer.into_parts();
            if parts.status != StatusCode::UNAUTHORIZED {
                return Response::from_parts(parts, Answer(Some(Box::pin(body))));
            }
            parts.headers = HeaderMap::new();
            Response::from_parts(parts, Answer(None))
        }))
    }
}

/// The body of an answer, or nothing.
struct Answer(Option<Pin<Box<ResponseBody>>>);

impl Body for Answer {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Some(body) => body.as_mut().poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

fn acceptor((certificate, key): &(PathBuf, PathBuf)) -> Result<TlsAcceptor, ServeError> {
    let wrong = |path: &Path, why: String| ServeError::Certificate {
        path: path.display().to_string(),
        why,
    };
    let (chain, private) =
        read_identity(certificate, key).map_err(|(path, why)| wrong(path, why))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| wrong(certificate, e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
