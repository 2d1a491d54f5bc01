use std::{pin::Pin, time::Duration};

use super::{connect::Access, retry::PATIENCE};
use crate::value::Failure;

/// What it takes to connect, on its way: reading files, starting an embedded server.
pub type Opening = Pin<Box<dyn Future<Output = Result<Access, Failure>> + Send>>;

/// Knows where the clusters of a target are.
pub trait Clusters: Send + Sync {
    /// Finds the cluster of a role. Nothing is asked of it yet.
    fn open(&self, role: &str) -> Opening;

    /// How long a request rides out an API server that can't be reached, restarts or is overloaded.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}
