//! The part of SPDY/3.1 that port-forward needs, without flow control and push (draft-mbelshe-httpbis-spdy-00, and
//! github.com/moby/spdystream, the implementation that kubectl uses).
//!
//! - `headers` compresses and decompresses header blocks, with one state for each direction;
//! - `frame` reads and writes frames;
//! - `serve` handles them, and pairs the two streams of each connection to a port.

mod frame;
mod headers;
mod serve;

pub(super) use serve::serve;
