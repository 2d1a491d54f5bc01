use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{session::Session, spdy};

/// The largest number of SPDY bytes in a message, and in the buffer of each direction.
const BUFFER: usize = 32 << 10;

/// Serves SPDY whose bytes arrive in binary messages, split at any point; a close message ends them (KEP-4006).
pub(super) async fn serve<S>(session: &Session, socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let (inner, outer) = tokio::io::duplex(BUFFER);
    let (mut from_server, mut to_server) = tokio::io::split(outer);
    let read = async {
        while let Some(Ok(message)) = stream.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                // client-go also treats a text message as an error.
                Message::Text(_) | Message::Close(_) => return,
                _ => continue,
            };
            if to_server.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            let message = Message::binary(buffer[..count].to_vec());
            if sink.send(message).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // The last bytes are written before the session ends.
        () = async { tokio::join!(spdy::serve(session, inner), write); } => {}
        () = read => {}
    }
    // The client may have closed the connection first.
    let _ = sink.close().await;
}
