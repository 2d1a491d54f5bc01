use std::time::Duration;

pub use tokio_util::sync::CancellationToken;

use windlass_journal::InstanceId;
use windlass_script::{Call, Trace};

/// A test's replacement for the outside. It is between the gate and the clients, so all calls of host functions and of undos
/// pass it.
pub trait Stage: Send + Sync {
    /// Replaces how a call of a step is made, before it is made. The gate handles it like any call: it is announced,
    /// recorded and replayed.
    fn set(&self, step: &InstanceId, call: Call) -> Call;

    /// Receives the timeout of an attempt that begins; cancels the token when the attempt has taken longer by its clock.
    fn begins(&self, _step: &InstanceId, _timeout: Option<Duration>, _expired: CancellationToken) {}

    /// Replaces a wait, of a step or between steps, by advancing its clock; returns `false` if the wait must take its time.
    fn passes(&self, step: Option<&InstanceId>, wait: Duration) -> bool;

    /// Receives the lines of scripts that run.
    fn trace(&self) -> Option<std::sync::Arc<dyn Trace>>;
}
