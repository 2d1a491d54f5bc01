use std::time::Duration;

use crate::journal::InstanceId;
use windlass_script::{Call, Trace};

/// The outside as a test sets it up: it stands between the gate and the clients, so whatever a host function calls, and
/// whatever an undo calls, passes it.
pub trait Stage: Send + Sync {
    /// Gives a call of a step, which has not been made yet, another way to be made. The gate treats it as any call:
    /// it is announced, recorded and replayed.
    fn set(&self, step: &InstanceId, call: Call) -> Call;

    /// Takes over a wait, and moves its clock on instead; `false` if the wait has to take its time.
    fn passes(&self, wait: Duration) -> bool;

    /// Receives the lines of scripts that run.
    fn trace(&self) -> Option<std::sync::Arc<dyn Trace>>;
}
