//! The state of a cluster: objects, the changes that watches read, and the scheduled work of controllers.

mod database;
mod transaction;

pub(crate) use database::{Store, StoreError};
pub(crate) use transaction::{Change, ChangeKind, Transaction};
