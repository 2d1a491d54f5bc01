//! What every reader and server stands on: how deep and large a document from outside may be, and
//! how long a client may take to say what it wants.
//!
//! This room depends on no other.

mod json;
mod serve;
mod tls;
mod yaml;

pub(crate) use json::{depth_of, json_size};
pub(crate) use serve::{read_body, serve, serve_each};
pub(crate) use tls::TlsListener;
pub(crate) use yaml::check_yaml;
