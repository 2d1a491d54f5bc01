//! What every reader and server stands on: how deep and large a document from outside may be, and
//! how long a client may take to say what it wants, how a database is opened, and what a point in time is
//! ([`Timestamp`]).
//!
//! This room depends on no other.

mod blocking;
mod chance;
mod database;
pub mod disk;
mod json;
mod patient;
mod places;
mod requests;
mod serve;
mod snapshot;
mod store;
mod timestamp;
mod tls;
mod trouble;
mod yaml;

pub use blocking::blocking;
pub use chance::{chance_of, drawn};
pub use database::{Durability, open_database, run_statement};
pub use json::{depth_of, json_size};
pub use requests::{Operation, Requester, log_request};
pub use serve::{BodyError, CLIENT_TIMEOUT, Limits, read_body, receive_body, serve, serve_each};
pub use snapshot::{Snapshot, snapshots};
pub use store::{StoreError, open_store};
pub use timestamp::{NotATimestamp, Timestamp, milliseconds};
pub use tls::{TlsListener, TlsPeer, carry};
pub use trouble::Trouble;
pub use yaml::check_yaml;
