use std::io;

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::headers::{Deflate, Headers, Inflate, damaged};

const CONTROL: u16 = 0x8003;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const FIN: u8 = 1;
/// Masks the top bit of a word: in the first word of a frame it marks a control frame, and in ids it is reserved.
const ID: u32 = 0x7fff_ffff;

/// The reason of a reset stream: the status 3 of RST_STREAM.
pub(super) const REFUSED_STREAM: u32 = 3;

/// A frame. Frames that port-forward does not use are [`Frame::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Opens a stream.
    Open {
        stream: u32,
        is_last: bool,
        headers: Headers,
    },
    /// Accepts a stream.
    Accept {
        stream: u32,
    },
    Reset {
        stream: u32,
        status: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    Data {
        stream: u32,
        is_last: bool,
        content: Bytes,
    },
    Other,
}

/// Reads frames from one direction of a connection.
pub(super) struct FrameReader<R> {
    io: R,
    inflate: Inflate,
}

/// Writes frames to one direction of a connection.
pub(super) struct FrameWriter<W> {
    io: W,
    deflate: Deflate,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub fn new(io: R) -> Self {
        Self {
            io,
            inflate: Inflate::new(),
        }
    }

    /// Reads the next frame. Returns `None` at the end of the connection.
    ///
    /// # Errors
    /// The frame is malformed or incomplete.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 8];
        match self.io.read_exact(&mut head[..1]).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        self.io.read_exact(&mut head[1..]).await?;
        let [a, b, c, d, flags, length @ ..] = head;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]);
        let mut content = vec![0; length as usize];
        self.io.read_exact(&mut content).await?;
        let is_last = flags & FIN != 0;
        if a & 0x80 == 0 {
            return Ok(Some(Frame::Data {
                stream: u32::from_be_bytes([a, b, c, d]),
                is_last,
                content: content.into(),
            }));
        }
        if u16::from_be_bytes([a, b]) != CONTROL {
            return Err(damaged("not SPDY/3"));
        }
        self.control(u16::from_be_bytes([c, d]), is_last, &content)
            .map(Some)
    }

    fn control(&mut self, kind: u16, is_last: bool, content: &[u8]) -> io::Result<Frame> {
        let word = |index: usize| {
            let word = content.get(index * 4..index * 4 + 4);
            let word = word.and_then(|bytes| bytes.try_into().ok());
            word.map(u32::from_be_bytes)
                .ok_or_else(|| damaged("a control frame is too short"))
        };
        Ok(match kind {
            SYN_STREAM => Frame::Open {
                stream: word(0)? & ID,
                is_last,
                // After two ids, the priority and the slot.
                headers: self.inflate.block(content.get(10..).unwrap_or_default())?,
            },
            SYN_REPLY => {
                let stream = word(0)? & ID;
                // Compression has one state for the whole connection, so this block must be read, too.
                self.inflate.block(&content[4..])?;
                Frame::Accept { stream }
            }
            RST_STREAM => Frame::Reset {
                stream: word(0)? & ID,
                status: word(1)?,
            },
            PING => Frame::Ping { id: word(0)? },
            GOAWAY => Frame::GoAway,
            HEADERS => {
                word(0)?;
                self.inflate.block(&content[4..])?;
                Frame::Other
            }
            _ => Frame::Other,
        })
    }
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub fn new(io: W) -> Self {
        Self {
            io,
            deflate: Deflate::new(),
        }
    }

    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        let bytes = self.encode(frame)?;
        self.io.write_all(&bytes).await?;
        self.io.flush().await
    }

    /// Ends the sending direction.
    pub async fn close(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }

    fn encode(&mut self, frame: &Frame) -> io::Result<Vec<u8>> {
        Ok(match frame {
            Frame::Open {
                stream,
                is_last,
                headers,
            } => {
                let block = self.deflate.block(headers)?;
                let head = [&stream.to_be_bytes()[..], &[0; 6]].concat();
                control(SYN_STREAM, flags(*is_last), &[head, block].concat())
            }
            Frame::Accept { stream } => {
                let block = self.deflate.block(&Headers::new())?;
                let content = [&stream.to_be_bytes()[..], &block].concat();
                control(SYN_REPLY, 0, &content)
            }
            Frame::Reset { stream, status } => {
                let content = [stream.to_be_bytes(), status.to_be_bytes()].concat();
                control(RST_STREAM, 0, &content)
            }
            Frame::Ping { id } => control(PING, 0, &id.to_be_bytes()),
            Frame::GoAway => control(GOAWAY, 0, &[0; 8]),
            Frame::Data {
                stream,
                is_last,
                content,
            } => {
                let head = stream.to_be_bytes();
                [&head[..], &size(flags(*is_last), content), content].concat()
            }
            Frame::Other => Vec::new(),
        })
    }
}

fn flags(is_last: bool) -> u8 {
    if is_last { FIN } else { 0 }
}

fn control(kind: u16, flags: u8, content: &[u8]) -> Vec<u8> {
    let head = [CONTROL.to_be_bytes(), kind.to_be_bytes()].concat();
    [&head[..], &size(flags, content), content].concat()
}

/// Returns the flags, and the length in three bytes.
fn size(flags: u8, content: &[u8]) -> [u8; 4] {
    let [_, a, b, c] = (content.len() as u32).to_be_bytes();
    [flags, a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Vec<Frame>> {
        let mut reader = FrameReader::new(bytes);
        let mut all = Vec::new();
        while let Some(frame) = reader.next().await? {
            all.push(frame);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn frames_are_read_as_they_were_written() {
        let frames = [
            Frame::Open {
                stream: 1,
                is_last: false,
                headers: vec![
                    ("streamtype".into(), "error".into()),
                    ("port".into(), "80".into()),
                ],
            },
            Frame::Accept { stream: 1 },
            Frame::Open {
                stream: 3,
                is_last: true,
                headers: vec![("streamtype".into(), "data".into())],
            },
            Frame::Data {
                stream: 3,
                is_last: false,
                content: Bytes::from(vec![7; 70_000]),
            },
            Frame::Data {
                stream: 1,
                is_last: true,
                content: Bytes::new(),
            },
            Frame::Ping { id: 5 },
            Frame::Reset {
                stream: 3,
                status: REFUSED_STREAM,
            },
            Frame::GoAway,
        ];
        let mut writer = FrameWriter::new(Vec::new());
        for frame in &frames {
            writer.send(frame).await.unwrap();
        }
        assert_eq!(read(&writer.io).await.unwrap(), frames);
    }

    /// The expected bytes are those that moby/spdystream writes.
    #[tokio::test]
    async fn frames_have_the_layout_of_the_draft() {
        let mut writer = FrameWriter::new(Vec::new());
        let mut encoded = |frame| writer.encode(&frame).unwrap();
        assert_eq!(
            encoded(Frame::Ping { id: 1 }),
            [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]
        );
        assert_eq!(
            encoded(Frame::Reset {
                stream: 3,
                status: 5
            }),
            [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 5]
        );
        assert_eq!(
            encoded(Frame::Data {
                stream: 3,
                is_last: true,
                content: Bytes::from_static(b"ab")
            }),
            [0, 0, 0, 3, 1, 0, 0, 2, b'a', b'b']
        );
        let settings = [0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0];
        assert_eq!(read(&settings).await.unwrap(), [Frame::Other]);
    }

    #[tokio::test]
    async fn a_damaged_frame_is_refused() {
        for bytes in [
            &[0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0][..],
            &[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1],
            &[0x80, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1],
            &[0x80, 3, 0, 2, 0, 0, 0, 2, 0, 0],
            &[0x80, 3, 0, 6, 0, 0, 0, 4, 0],
            &[0, 0, 0],
        ] {
            assert!(read(bytes).await.is_err(), "{bytes:?}");
        }
        assert_eq!(read(&[]).await.unwrap(), []);
    }
}
