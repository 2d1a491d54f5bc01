//! SPDY/3.1, as far as port-forward needs it: no flow control, no push (draft-mbelshe-httpbis-spdy-00, and
//! github.com/moby/spdystream, which kubectl speaks it with).
//!
//! - `headers` compresses and reads blocks of headers, with one state for each direction;
//! - `frame` reads and writes frames;
//! - `serve` answers them, and pairs the two streams of each connection to a port.

mod frame;
mod headers;
mod serve;

pub(super) use serve::serve;
