//! The HTTPS server: opens the state, listens, and stops.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{
    handler::handle,
    identity::Access,
    listener::{self, TlsError},
    options::Options,
    service::{OpenError, Service},
};
use windlass_ground::{StoreError, blocking, boxed, log_request, serve};

/// How long a stop waits for requests in progress.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state can't be opened.
    #[error(transparent)]
    Store(StoreError),
    /// The CA or the token can't be made or read.
    #[error("can't read or make the identity of the cluster: {0}")]
    Identity(String),
    /// The address is not a loopback address; a rehearsal must not be reachable from other machines.
    #[error("refusing to listen on {0}, which other machines can reach; use 127.0.0.1")]
    Open(SocketAddr),
    /// The server can't listen on the address.
    #[error("can't listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The certificate can't be used.
    #[error("can't serve TLS: {0}")]
    Tls(String),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => Self::Store(error),
            OpenError::Identity(why) => Self::Identity(why),
        }
    }
}

/// A running server. Dropping it stops it; [`stop`](Self::stop) also waits for requests in progress.
pub struct Server {
    address: SocketAddr,
    service: Arc<Service>,
    task: JoinHandle<()>,
}

impl Server {
    /// Opens the state and listens. The server answers requests as soon as this returns.
    #[boxed]
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listen = options.listen;
        if !listen.ip().is_loopback() {
            return Err(StartError::Open(listen));
        }
        let opening = blocking(move || {
            let service = Service::open(options)?;
            service.store_pod_delay()?;
            Ok::<_, OpenError>(service)
        });
        let service = Arc::new(opening.await?);
        let failed = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let timeout = service.options.client_timeout;
        let listener = listener::listen(listener, timeout, &service.identity);
        let listener = listener.map_err(|error| match error {
            TlsError::Listen(error) => failed(error),
            other => StartError::Tls(other.to_string()),
        })?;
        let router = Router::new()
            .fallback(handle)
            .layer(axum::middleware::from_fn(log_request))
            .with_state(Arc::clone(&service));
        let stopping = service.stopping.clone();
        let task = tokio::spawn(serve(listener, router, timeout, stopping.cancelled_owned()));
        Ok(Self {
            address,
            service,
            task,
        })
    }

    /// Returns what a client needs to use the cluster.
    pub fn access(&self) -> Access {
        Access {
            name: self.service.options.name.clone(),
            endpoint: format!("https://{}", self.address),
            ca: self.service.identity.ca.clone(),
            token: self.service.identity.token.clone(),
        }
    }

    /// Stops listening, ends watches, and waits for requests in progress.
    pub async fn stop(mut self) {
        self.service.stopping.cancel();
        // The requests that take longer are cut off.
        let _ = tokio::time::timeout(LAST_REQUESTS, &mut self.task).await;
    }

    /// Serves until `shutdown` completes, then stops.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        shutdown.await;
        self.stop().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.service.stopping.cancel();
    }
}
