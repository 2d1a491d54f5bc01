//! The HTTP server: opens the state, listens, and stops.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::handler::handle;
use crate::opening::Opening;
use crate::options::Options;
use windlass_ground::{StoreError, boxed, log_request, serve};

/// How long a stop waits for requests in progress.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server must not be reachable from elsewhere without credentials.
    #[error("refusing to listen on {0}, which other machines can reach, without access keys")]
    Open(SocketAddr),
    /// The account number does not have 12 digits.
    #[error("the account number {0} is not 12 digits")]
    Account(String),
    /// The server can't listen on the address.
    #[error("can't listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

/// A running server. Dropping it stops it; [`stop`](Self::stop) also waits for requests in progress.
pub struct Server {
    address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Opens the state and listens. The server answers requests as soon as this returns.
    #[boxed]
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (listen, timeout) = (options.listen, options.client_timeout);
        if !listen.ip().is_loopback() && options.access_keys.is_empty() {
            return Err(StartError::Open(listen));
        }
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(StartError::Account(options.account));
        }
        let opening = Opening::begin(options).await?;
        let failed = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Without this, a small response can wait 40 ms until the one before is acknowledged.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let router = Router::new()
            .fallback(handle)
            .layer(axum::middleware::from_fn(log_request))
            .with_state(Arc::new(opening));
        let (shutdown, asked) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, router, timeout, async {
            // An error means that the server was dropped, which also stops it.
            let _ = asked.await;
        }));
        Ok(Self {
            address,
            shutdown: Some(shutdown),
            task,
        })
    }

    /// Returns the address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening, and waits for requests in progress.
    pub async fn stop(mut self) {
        self.shutdown = None;
        // The requests that take longer are cut off.
        let _ = tokio::time::timeout(LAST_REQUESTS, &mut self.task).await;
    }

    /// Serves until `shutdown` completes, then stops.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        shutdown.await;
        self.stop().await;
    }
}
