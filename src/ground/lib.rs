//! What every reader and server is based on: limits for the depth and size of documents from outside, limits for the time
//! that a client may take, how databases are opened, and the type for a point in time ([`Timestamp`]).
//!
//! This crate depends on no other crate of the workspace.

mod blocking;
mod database;
pub mod disk;
mod json;
mod patient;
mod places;
mod requests;
mod serve;
mod snapshot;
mod timestamp;
mod tls;
mod trouble;
mod yaml;

pub use blocking::blocking;
pub use database::{Durability, open_database, run_statement};
pub use json::{depth_of, json_size};
pub use requests::{Operation, Requester, log_request};
pub use serve::{BodyError, CLIENT_TIMEOUT, Limits, read_body, receive_body, serve, serve_each};
pub use snapshot::{Snapshot, snapshots};
pub use timestamp::{NotATimestamp, Timestamp};
pub use tls::{TlsListener, TlsPeer};
pub use trouble::Trouble;
pub use yaml::check_yaml;
