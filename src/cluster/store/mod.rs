//! The state of a cluster: objects, the changes that watches read, and the scheduled work of controllers.

mod database;
mod transaction;

pub(crate) use database::Store;
pub(crate) use transaction::{Change, ChangeKind, Transaction};
