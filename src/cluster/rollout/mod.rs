//! The controllers, the scheduler and the kubelets of the cluster.
//!
//! Each one handles an object when its scheduled work is due, as of the time for which it was scheduled, and schedules what
//! follows. Nothing runs in the background: before every read and write, `play` does all work that is due, in order of time.

mod adopt;
mod conditions;
mod daemon_set;
mod deployment;
mod disruption;
mod event;
mod play;
mod pod;
mod references;
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
