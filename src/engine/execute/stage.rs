use std::time::Duration;

use crate::journal::InstanceId;
use windlass_script::{Call, Trace};

/// A test's replacement for the outside. It is between the gate and the clients, so all calls of host functions and of undos
/// pass it.
pub trait Stage: Send + Sync {
    /// Replaces how a call of a step is made, before it is made. The gate handles it like any call: it is announced,
    /// recorded and replayed.
    fn set(&self, step: &InstanceId, call: Call) -> Call;

    /// Replaces a wait by advancing its clock; returns `false` if the wait must take its time.
    fn passes(&self, wait: Duration) -> bool;

    /// Receives the lines of scripts that run.
    fn trace(&self) -> Option<std::sync::Arc<dyn Trace>>;
}
