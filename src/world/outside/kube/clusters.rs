use std::{pin::Pin, time::Duration};

use super::{connect::Access, retry::PATIENCE};
use crate::value::Failure;

/// The work that a connection needs: reading files, or starting an embedded server.
pub type Opening = Pin<Box<dyn Future<Output = Result<Access, Failure>> + Send>>;

/// Finds the clusters of a target.
pub trait Clusters: Send + Sync {
    /// Finds the cluster of a role, without sending a request to it.
    fn open(&self, role: &str) -> Opening;

    /// Returns how long a request is retried while an API server can't be reached, restarts or is overloaded.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}
