//! The state of a server: one SQLite database, which several servers may share.
//!
//! - [`schema`]: the tables and their version;
//! - [`writer`]: one thread that commits writes in groups, so that parallel requests share an fsync;
//! - [`authority`], [`certificate`], [`list`], [`report`], [`sharing`], [`tag`], [`token`]: rows and their queries.
//!
//! Nothing authoritative is kept in memory. A write reads whatever it decides on again, inside its transaction; where that is
//! an authority, its [`revision`](authority::revision) tells that nothing has changed.

pub(crate) mod authority;
pub(crate) mod certificate;
mod database;
pub(crate) mod list;
pub(crate) mod report;
mod schema;
pub(crate) mod sharing;
pub(crate) mod tag;
pub(crate) mod token;
mod writer;

pub(crate) use database::{Store, is_there};
pub(crate) use writer::Coming;
