//! Limits how many connections a server has at once.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// How many clients above the limit get an answer at the same time; the connections of others are closed without one.
const TURNED_AWAY: usize = 64;
/// How long a client above the limit may take to read that answer.
const FAREWELL: Duration = Duration::from_secs(1);
/// How many bytes of its request are read: if a connection is closed with unread bytes, the client may not receive the
/// answer.
const UNREAD: u64 = 64 * 1024;

/// The answer for a client above the limit.
const BUSY: &str = "this server has reached its limit of connections; try again later\n";

/// The connections that a listener may have. Logs when the limit is reached and when connections are free again, not at
/// every connection.
pub struct Places {
    most: usize,
    free: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// How many clients were refused since the limit was reached.
    refused: u64,
}

impl Places {
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            turns: Arc::new(Semaphore::new(TURNED_AWAY)),
            refused: 0,
        }
    }

    /// Takes a place for a connection, if one is free. The place is free again when the permit is dropped.
    pub fn take(&mut self) -> Option<OwnedSemaphorePermit> {
        let Ok(place) = self.free.clone().try_acquire_owned() else {
            if self.refused == 0 {
                tracing::warn!(
                    limit = self.most,
                    "the limit of connections is reached; new ones are answered 503 until others close"
                );
            }
            self.refused += 1;
            return None;
        };
        // Near the limit, the state changes with each connection, so 10% have to be free before this is logged.
        if self.refused > 0 && self.free.available_permits() >= self.most.div_ceil(10) {
            tracing::info!(
                refused = self.refused,
                "the number of connections is below its limit again"
            );
            self.refused = 0;
        }
        Some(place)
    }

    /// Takes one of the few permits to answer a client above the limit.
    pub fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().try_acquire_owned().ok()
    }
}

/// Tells a client above the limit to come back later (503), and closes the connection.
pub async fn turn_away(stream: impl AsyncRead + AsyncWrite + Unpin, turn: OwnedSemaphorePermit) {
    // It does not matter whether the client reads the answer.
    let _ = tokio::time::timeout(FAREWELL, say_busy(stream)).await;
    drop(turn);
}

async fn say_busy(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Retry-After: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        BUSY.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(BUSY.as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = stream.take(UNREAD);
    tokio::io::copy(&mut unread, &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_given_back_is_free() {
        let mut places = Places::new(2);
        let first = places.take();
        let second = places.take();
        assert!(first.is_some() && second.is_some());
        assert!(places.take().is_none());
        assert!(places.take().is_none());
        assert_eq!(places.refused, 2);
        drop(first);
        drop(second);
        assert!(places.take().is_some());
        assert_eq!(places.refused, 0, "it is below the limit again");
    }
}
