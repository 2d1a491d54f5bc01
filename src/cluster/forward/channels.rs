use axum::body::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{copy::copy, session::Session};

/// How many messages may wait for a slow pod or client.
const WAITING: usize = 16;

/// Serves ports over a WebSocket with two channels for each port: 2i for its data, 2i + 1 for its errors. The first byte of
/// a message is its channel; the first message of each channel contains the port, in little-endian order.
///
/// The connection ends when all ports have ended, as with a kubelet (k8s.io/cri-streaming, portforward/websocket.go). A pod
/// that does not read delays the other ports, also as with a kubelet.
pub(super) async fn serve<S>(session: &Session, socket: WebSocketStream<S>, ports: &[u16])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, stream) = socket.split();
    let (to_client, outgoing) = mpsc::channel(WAITING);
    let mut inputs = Vec::new();
    let forwards = FuturesUnordered::new();
    for (port, channel) in ports.iter().zip((0..u8::MAX).step_by(2)) {
        let (input, from_client) = mpsc::channel(WAITING);
        inputs.push(input);
        let to_client = to_client.clone();
        forwards.push(forward(session, channel, *port, from_client, to_client));
    }
    drop(to_client);
    tokio::select! {
        () = read(stream, inputs) => {}
        () = write(&mut sink, outgoing) => {}
        () = async { forwards.collect::<()>().await; std::future::pending().await } => {}
        () = session.ended() => {}
    }
    // The client may have closed the connection first.
    let _ = sink.close().await;
}

/// Forwards a port, after both its channels have sent the port's number.
async fn forward(
    session: &Session,
    channel: u8,
    port: u16,
    from_client: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<Message>,
) {
    for channel in [channel, channel + 1] {
        let first = message(channel, &port.to_le_bytes());
        if to_client.send(first).await.is_err() {
            return;
        }
    }
    match session.connect(port) {
        Ok(pod) => {
            let message = |bytes: Bytes| message(channel, &bytes);
            copy(pod, from_client, &to_client, message).await;
        }
        Err(why) => {
            // The client may have left already.
            let _ = to_client.send(message(channel + 1, why.as_bytes())).await;
        }
    }
}

fn message(channel: u8, content: &[u8]) -> Message {
    Message::binary([&[channel], content].concat())
}

/// Passes each message to the port of its channel, until the client closes the connection.
async fn read<S>(mut stream: SplitStream<WebSocketStream<S>>, inputs: Vec<mpsc::Sender<Bytes>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = stream.next().await {
        let Message::Binary(mut bytes) = message else {
            continue;
        };
        if bytes.is_empty() {
            continue;
        }
        let channel = usize::from(bytes.split_to(1)[0]);
        // Messages on an error channel are ignored.
        if let Some(input) = inputs.get(channel / 2)
            && channel % 2 == 0
        {
            // The port may have ended already.
            let _ = input.send(bytes).await;
        }
    }
}

/// Sends messages until all ports have ended or the client has left.
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    mut outgoing: mpsc::Receiver<Message>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = outgoing.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
