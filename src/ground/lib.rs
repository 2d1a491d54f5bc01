//! What every reader and server stands on: how deep and large a document from outside may be, and
//! how long a client may take to say what it wants.
//!
//! This room depends on no other.

pub mod disk;
mod json;
mod serve;
mod tls;
mod yaml;

pub use json::{depth_of, json_size};
pub use serve::{CLIENT_TIMEOUT, read_body, serve, serve_each};
pub use tls::{TlsListener, TlsPeer};
pub use yaml::check_yaml;
