//! What every server and every reader of documents from outside needs. It depends on no other crate.
//!
//! # Layout
//!
//! - `timestamp`: [`Timestamp`], a point in time; `every`: what is done once in each period, also when the clock is set;
//! - `database`, `snapshot`: how SQLite is opened, and copied while others write; `store`: the one in a server's folder;
//! - [`disk`]: folders and files that survive a power cut; [`private`]: which of them others must not have;
//! - `serve`, `tls`, `places`, `patient`: HTTP and TLS for servers: how long a client may take, how many there may be,
//!   and that they read what they are sent;
//! - `requests`, `trouble`: the log of requests, and of what goes wrong again and again;
//! - `json`, `yaml`: how deep and large a document may be;
//! - `blocking`: work that blocks, beside the tasks of a runtime, and threads that wait for a task;
//! - `mutex`: mutexes after a panic;
//! - `random`: random bytes; `chance`: how often an embedded server fails on purpose;
//! - `words`: the first column of a constant table, and which word was probably meant.

mod blocking;
mod chance;
mod database;
pub mod disk;
mod every;
mod json;
mod mutex;
mod patient;
mod places;
pub mod private;
mod random;
mod requests;
mod serve;
mod snapshot;
mod store;
mod timestamp;
mod tls;
mod trouble;
mod words;
mod yaml;

/// Makes an `async fn` return a boxed future.
///
/// An `async fn` is compiled again in each crate that awaits it, with all that it awaits itself: the SDKs' retries, HTTP and TLS.
/// A boxed future is compiled once, in its own crate. Functions that reach a network or start a
/// server have this attribute.
pub use async_recursion::async_recursion as boxed;
pub use blocking::{block_on, blocking};
pub use chance::{chance_of, drawn};
pub use database::{Durability, open_database, run_statement};
pub use every::Every;
pub use json::{depth_of, json_size};
pub use mutex::lock;
pub use random::{NoRandomness, random_bytes};
pub use requests::{Operation, Requester, log_request};
pub use serve::{BodyError, CLIENT_TIMEOUT, Limits, receive_body, serve, serve_each};
pub use snapshot::{Snapshot, snapshots};
pub use store::{StoreError, open_store};
pub use timestamp::{NotATimestamp, Timestamp, milliseconds};
pub use tls::{TlsListener, TlsPeer, carry};
pub use trouble::Trouble;
pub use words::{closest, did_you_mean, words};
pub use yaml::check_yaml;
