//! The HTTP server: it opens the state, listens, and stops.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::handler::{Served, handle};
use crate::options::Options;
use crate::service::Service;
use crate::store::StoreError;
use crate::workers::Workers;
use windlass_ground::{blocking, log_request, serve};

/// How long a stop waits for requests that are being answered.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Why a server doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder can't be made or written.
    #[error("can't use the folder {}", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The database in it can't be opened.
    #[error("can't open the database {}", .0.display())]
    Database(PathBuf, #[source] rusqlite::Error),
    /// The database was written by another version.
    #[error("the database {} has version {found}, and this program knows version {known}", .path.display())]
    Version {
        /// The database.
        path: PathBuf,
        /// What it says it is.
        found: i64,
        /// What this program writes.
        known: i64,
    },
    /// The server must not be reachable from elsewhere without credentials.
    #[error("refuses to listen on {0}, which other machines can reach, without access keys")]
    Open(SocketAddr),
    /// The account isn't 12 digits.
    #[error("the account number {0} is not 12 digits")]
    Account(String),
    /// The address can't be listened on.
    #[error("can't listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Folder(path, source) => Self::Folder(path, source),
            StoreError::Database(path, source) => Self::Database(path, source),
            StoreError::Version { path, found, known } => Self::Version { path, found, known },
        }
    }
}

/// A running server. It stops when it is dropped; [`stop`](Self::stop) also waits for the last answers.
pub struct Server {
    address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Opens the state and listens; requests are answered from when this returns.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (listen, upkeep, timeout) = (options.listen, options.upkeep, options.client_timeout);
        if !listen.ip().is_loopback() && options.access_keys.is_empty() {
            return Err(StartError::Open(listen));
        }
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(StartError::Account(options.account));
        }
        let opening = blocking(move || {
            let service = Service::open(options)?;
            service.catch_up();
            Ok::<_, StoreError>(service)
        });
        let service = Arc::new(opening.await?);
        tokio::spawn(keep_up(Arc::downgrade(&service), upkeep));
        let failed = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Without it, a small answer can wait 40 ms for the acknowledgement of the one before.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let served = Served {
            service,
            workers: Workers::start(),
        };
        let router = Router::new()
            .fallback(handle)
            .layer(axum::middleware::from_fn(log_request))
            .with_state(Arc::new(served));
        let (shutdown, asked) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, router, timeout, async {
            // An error means that the server was dropped: a reason to stop as good as any.
            drop(asked.await);
        }));
        Ok(Self {
            address,
            shutdown: Some(shutdown),
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to give to a client.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening and waits for the requests that are being answered.
    pub async fn stop(mut self) {
        drop(self.shutdown.take());
        drop(tokio::time::timeout(LAST_REQUESTS, &mut self.task).await);
    }

    /// Serves until `shutdown` is over, and stops.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        shutdown.await;
        self.stop().await;
    }
}

/// Does for a server that runs for long what it does at its start. It ends with the server, which alone keeps the service.
async fn keep_up(service: Weak<Service>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(service) = service.upgrade() else {
            return;
        };
        // The thread reports a panic; the next round may succeed.
        drop(tokio::task::spawn_blocking(move || service.catch_up()).await);
    }
}
