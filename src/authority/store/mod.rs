//! The state of a server: one SQLite database, which several servers may share.
//!
//! - [`schema`]: the tables and their version;
//! - [`writer`]: one thread that commits writes in groups, so that parallel requests share an fsync;
//! - [`authority`], [`certificate`], [`list`], [`report`], [`sharing`], [`tag`], [`token`]: rows and their queries.
//!
//! Memory holds caches only. A write reads everything that its decision depends on again, within its transaction.

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

pub(crate) use database::Store;
