use std::{collections::BTreeMap, io, time::Duration};

use axum::body::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    super::{copy::copy, session::Session},
    frame::{Frame, FrameReader, FrameWriter, REFUSED_STREAM},
    headers::{Headers, value},
};

/// How long after the first stream the second stream of a pair may arrive (the kubelet's `streamCreationTimeout`).
const PAIRING: Duration = Duration::from_secs(30);
/// How many frames may wait for a slow pod or client.
const WAITING: usize = 16;

/// Serves connections to the ports of a pod, until the client leaves.
///
/// Each connection has two streams with the same `requestid`: `error`, on which only the server writes, and `data`
/// (k8s.io/cri-streaming, portforward/httpstream.go).
pub(in crate::forward) async fn serve<S>(session: &Session, io: S)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(io);
    let (outgoing, frames) = mpsc::channel(WAITING);
    let mut streams = Streams {
        session,
        outgoing,
        half: BTreeMap::new(),
        inputs: BTreeMap::new(),
        running: JoinSet::new(),
    };
    let mut reader = FrameReader::new(reader);
    tokio::select! {
        // A malformed frame ends the connection, as it does in spdystream.
        _ = streams.read(&mut reader) => {}
        _ = write(FrameWriter::new(writer), frames) => {}
        () = session.ended() => {}
    }
}

async fn write<W>(mut writer: FrameWriter<W>, mut frames: mpsc::Receiver<Frame>) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    while let Some(frame) = frames.recv().await {
        writer.send(&frame).await?;
    }
    writer.close().await
}

/// The streams of a client's connection.
struct Streams<'a> {
    session: &'a Session,
    outgoing: mpsc::Sender<Frame>,
    /// Streams whose counterpart has not arrived yet, by `requestid`.
    half: BTreeMap<String, Half>,
    /// The receiver of each stream's data.
    inputs: BTreeMap<u32, mpsc::Sender<Bytes>>,
    running: JoinSet<()>,
}

/// The first stream of a pair.
struct Half {
    stream: u32,
    is_error: bool,
    /// The data that the client sends before the other stream arrives.
    early: Option<mpsc::Receiver<Bytes>>,
    /// Reports the pair as incomplete after [`PAIRING`]; stopped when the other stream arrives.
    timer: tokio::task::AbortHandle,
}

impl Streams<'_> {
    async fn read<R: AsyncRead + Unpin>(&mut self, reader: &mut FrameReader<R>) -> io::Result<()> {
        while let Some(frame) = reader.next().await? {
            match frame {
                Frame::Open {
                    stream,
                    is_last,
                    headers,
                } => self.open(stream, is_last, &headers).await,
                Frame::Data {
                    stream,
                    is_last,
                    content,
                } => {
                    if let Some(input) = self.inputs.get(&stream)
                        && !content.is_empty()
                    {
                        // The port may have ended already.
                        let _ = input.send(content).await;
                    }
                    if is_last {
                        self.inputs.remove(&stream);
                    }
                }
                Frame::Reset { stream, .. } => {
                    self.inputs.remove(&stream);
                }
                Frame::Ping { .. } => self.send(frame).await,
                Frame::GoAway => return Ok(()),
                Frame::Accept { .. } | Frame::Other => {}
            }
            while self.running.try_join_next().is_some() {}
        }
        Ok(())
    }

    /// Accepts a stream, and starts to forward if it completes a pair.
    async fn open(&mut self, stream: u32, is_last: bool, headers: &Headers) {
        let port = value(headers, "port").and_then(|port| port.parse().ok());
        let request = value(headers, "requestid").unwrap_or_default();
        let is_error = match value(headers, "streamtype") {
            Some("error") => true,
            Some("data") => false,
            _ => return self.refuse(stream).await,
        };
        let Some(port @ 1..) = port else {
            return self.refuse(stream).await;
        };
        let is_twice = self
            .half
            .get(request)
            .is_some_and(|half| half.is_error == is_error);
        if request.is_empty() || is_twice {
            return self.refuse(stream).await;
        }
        self.send(Frame::Accept { stream }).await;
        let input = (!is_error).then(|| {
            let (input, from_client) = mpsc::channel(WAITING);
            if !is_last {
                self.inputs.insert(stream, input);
            }
            from_client
        });
        let Some(first) = self.half.remove(request) else {
            let late = self
                .running
                .spawn(late(stream, is_error, self.outgoing.clone()));
            let half = Half {
                stream,
                is_error,
                early: input,
                timer: late,
            };
            self.half.insert(request.to_owned(), half);
            return;
        };
        first.timer.abort();
        let (error, data) = if is_error {
            (stream, first.stream)
        } else {
            (first.stream, stream)
        };
        let Some(from_client) = input.or(first.early) else {
            return;
        };
        let (session, outgoing) = (self.session.clone(), self.outgoing.clone());
        self.running.spawn(async move {
            forward(&session, port, from_client, (error, data), outgoing).await;
        });
    }

    async fn refuse(&self, stream: u32) {
        let status = REFUSED_STREAM;
        self.send(Frame::Reset { stream, status }).await;
    }

    async fn send(&self, frame: Frame) {
        // If the writer has ended, so has the connection.
        let _ = self.outgoing.send(frame).await;
    }
}

/// Reports that the other stream of a pair did not arrive in time.
async fn late(stream: u32, is_error: bool, outgoing: mpsc::Sender<Frame>) {
    tokio::time::sleep(PAIRING).await;
    if is_error {
        let content = Bytes::from_static(b"timed out waiting for streams");
        finish(stream, content, &outgoing).await;
    }
}

async fn forward(
    session: &Session,
    port: u16,
    from_client: mpsc::Receiver<Bytes>,
    (error, data): (u32, u32),
    outgoing: mpsc::Sender<Frame>,
) {
    let mut why = Bytes::new();
    match session.connect(port) {
        Err(said) => why = said.into(),
        Ok(pod) => {
            let frame = |content| Frame::Data {
                stream: data,
                is_last: false,
                content,
            };
            copy(pod, from_client, &outgoing, frame).await;
        }
    }
    finish(error, why, &outgoing).await;
    finish(data, Bytes::new(), &outgoing).await;
}

/// Sends the last content of a stream.
async fn finish(stream: u32, content: Bytes, outgoing: &mpsc::Sender<Frame>) {
    let frame = Frame::Data {
        stream,
        is_last: true,
        content,
    };
    // If the writer has ended, nothing is left to do.
    let _ = outgoing.send(frame).await;
}
