use std::time::Duration;

use axum::body::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

/// How long a pod may still answer a client that sends no more, as containerd gives it (`portForward`,
/// internal/cri/server/sandbox_portforward_linux.go).
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are read at once, and so the largest message.
const BUFFER: usize = 32 << 10;

/// Copies between a client and a port of a pod until the pod closes, or the client has sent its last and the time
/// after it is over. Each piece for the client is sent as `message` makes it.
pub(super) async fn copy<M>(
    port: DuplexStream,
    mut from_client: mpsc::Receiver<Bytes>,
    to_client: &mpsc::Sender<M>,
    message: impl Fn(Bytes) -> M,
) {
    let (mut reader, mut writer) = tokio::io::split(port);
    let to_pod = async {
        while let Some(bytes) = from_client.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                // The pod reads no more; what it has sent is still to be read.
                return std::future::pending().await;
            }
        }
        // The pod may be gone already.
        let _ = writer.shutdown().await;
    };
    let from_pod = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            let piece = Bytes::copy_from_slice(&buffer[..count]);
            if to_client.send(message(piece)).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(to_pod, from_pod);
    tokio::select! {
        () = &mut from_pod => {}
        () = &mut to_pod => {
            // The end of this time is the end of the connection.
            let _ = tokio::time::timeout(LINGER, from_pod).await;
        }
    }
}
