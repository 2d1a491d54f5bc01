//! The controllers, the scheduler and the kubelets of the cluster.
//!
//! Each works on one object when it is woken, as of the moment that it was woken for, and says when to be woken again.
//! Nothing runs in between: `play` does what is due, in order, before anybody looks.

mod conditions;
mod daemon_set;
mod deployment;
mod disruption;
mod event;
mod play;
mod pod;
mod replica_set;
mod revision;
mod share;
mod stateful_set;
mod strategy;
mod world;

pub(crate) use disruption::status as budget_status;
pub(crate) use event::warn;
pub use play::STUCK;
pub(crate) use play::catch_up;
pub(crate) use pod::is_ready;
