use std::{error::Error, future::Future, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    serve::Listener,
};
use http_body_util::LengthLimitError;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::{mpsc, watch};

use crate::{
    patient::Patient,
    places::{Places, turn_away},
};

/// How long a client may take for the head of a request, and again for its body (4 MiB at half a Mbit/s). A client that
/// sends a byte now and then would otherwise hold its connection for ever. An idle connection is closed after the same time.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Limits for the clients of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a client may take for the head of a request, and how long it may go without reading any of a response.
    pub timeout: Duration,
    /// How many connections are served at once. Further clients get 503.
    pub connections: usize,
}

/// Serves HTTP/1.1 until `stop` completes, then waits for the requests in progress. A client that takes longer than
/// `timeout` for the head of a request is disconnected.
pub async fn serve<L: Listener>(
    listener: L,
    router: Router,
    timeout: Duration,
    stop: impl Future<Output = ()>,
) {
    let limits = Served {
        timeout,
        places: None,
    };
    serve_within(listener, |_| router.clone(), limits, stop).await;
}

/// Works as [`serve`], with [`Limits`], and with a router for each connection, made from the address of its client.
pub async fn serve_each<L: Listener>(
    listener: L,
    router: impl Fn(L::Addr) -> Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let limits = Served {
        timeout: limits.timeout,
        places: Some(Places::new(limits.connections)),
    };
    serve_within(listener, router, limits, stop).await;
}

struct Served {
    timeout: Duration,
    /// `None` where the number of connections is not limited and clients may take any time to read: an upgraded connection
    /// can be silent for as long as it likes.
    places: Option<Places>,
}

async fn serve_within<L: Listener>(
    mut listener: L,
    router: impl Fn(L::Addr) -> Router,
    Served {
        timeout,
        mut places,
    }: Served,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(());
    // Each connection holds a sender, so the channel closes with the last connection.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let patience = places.as_ref().map(|_| timeout);
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let place = match &mut places {
            None => None,
            Some(places) => match places.take() {
                Some(place) => Some(place),
                None => {
                    if let Some(turn) = places.turn() {
                        tokio::spawn(turn_away(stream, turn));
                    }
                    continue;
                }
            },
        };
        let stream = Patient::new(stream, patience);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeout)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router(peer)))
            .with_upgrades();
        let (open, mut stopped) = (open.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            // A broken connection is not a failure of the server, so it is logged for debugging only.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            drop((open, place));
        });
    }
    drop(stopping);
    drop(open);
    all_closed.recv().await;
}

/// Why the body of a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body is larger than allowed.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The connection broke, or the body was not sent as its headers say.
    Broken,
}

/// Reads the body of a request.
///
/// # Errors
/// The body has more than `largest` bytes, takes longer than `timeout`, or does not arrive as a whole.
pub async fn receive_body(
    body: Body,
    largest: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    let reading = tokio::time::timeout(timeout, to_bytes(body, largest));
    let read = reading.await.map_err(|_| BodyError::TooSlow)?;
    read.map_err(|error| {
        if is_too_large(&error) {
            BodyError::TooLarge
        } else {
            BodyError::Broken
        }
    })
}

/// Says whether a body was not read because of its size.
fn is_too_large(error: &axum::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
