use std::time::Duration;

use axum::body::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

/// How long a pod may go on answering a client that has finished sending. The value is containerd's (`portForward`,
/// internal/cri/server/sandbox_portforward_linux.go).
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes are read at once, and thus the size of the largest message.
const BUFFER: usize = 32 << 10;

/// Copies data between a client and a port of a pod, until the pod closes the connection, or [`LINGER`] has passed since the
/// client finished sending. `message` wraps each piece for the client.
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
                // The pod has stopped reading, but its data may still have to be copied.
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
            // After this time, the connection ends.
            let _ = tokio::time::timeout(LINGER, from_pod).await;
        }
    }
}
