//! The state of one cluster: objects, the changes that watches read, and what the controllers wake up for.

mod database;
mod transaction;

pub(crate) use database::Store;
pub(crate) use transaction::{Change, ChangeKind, Transaction};
