use std::{future::Future, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    serve::Listener,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::{mpsc, watch};

/// How long a client may take for the head of a request, and again for its body (4 MiB at half a Mbit/s): one that sends a
/// byte now and then would hold its connection for ever. An idle connection is closed after the same time.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves HTTP/1.1 until `stop` is over, and lets the requests that are being answered end. A client that takes longer than
/// `timeout` for the head of a request is cut off.
pub async fn serve<L: Listener>(
    listener: L,
    router: Router,
    timeout: Duration,
    stop: impl Future<Output = ()>,
) {
    serve_each(listener, |_| router.clone(), timeout, stop).await;
}

/// As [`serve`], with a router for each connection, given the address of its client.
pub async fn serve_each<L: Listener>(
    mut listener: L,
    router: impl Fn(L::Addr) -> Router,
    timeout: Duration,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(());
    // Each connection holds a sender, so the channel closes with the last of them.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
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
            // What breaks a connection is the client's to notice.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            drop(open);
        });
    }
    drop(stopping);
    drop(open);
    all_closed.recv().await;
}

/// Reads the body of a request; `None` if it is larger than that or has not come in time.
pub async fn read_body(body: Body, largest: usize, timeout: Duration) -> Option<Bytes> {
    let reading = tokio::time::timeout(timeout, to_bytes(body, largest));
    reading.await.ok()?.ok()
}
