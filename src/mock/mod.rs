//! `windlass http serve`: a small web server that answers as a file says, for runbooks that are tried before there is
//! anything to run them on. On loopback only.
//!
//! - `answer` decides what a request is answered, and what is kept: pure;
//! - `server` listens.

mod answer;
mod server;

pub use answer::{Answer, Request, Site};
pub use server::{Server, Told};
