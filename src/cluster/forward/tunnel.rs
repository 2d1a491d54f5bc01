use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{session::Session, spdy};

/// Bytes of SPDY that a message holds at most, and that wait on either side.
const BUFFER: usize = 32 << 10;

/// Serves SPDY whose bytes come in binary messages, cut anywhere; a close is their end (KEP-4006).
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
                // client-go takes it for an error as well.
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
        // Its last bytes are written before the end is seen.
        () = async { tokio::join!(spdy::serve(session, inner), write); } => {}
        () = read => {}
    }
    // The client may have closed it first.
    let _ = sink.close().await;
}
