//! The triggers of a Windlass server elsewhere.

use serde::Deserialize;
use serde_json::json;

use super::{book::TriggerKey, standing::TriggerStanding};
use windlass_runs::{RunsError, There, encoded};

/// The status of a server's triggers.
#[derive(Deserialize)]
pub struct TriggersThere {
    pub triggers: Vec<TriggerStanding>,
    /// Why some triggers are not known.
    pub problems: Vec<String>,
}

impl TriggersThere {
    /// Asks a server.
    ///
    /// # Errors
    /// A server that can't be reached, or rejects the request.
    pub fn of(there: &There) -> Result<Self, RunsError> {
        there.get("/api/v1/triggers", &[])
    }
}

/// Pauses or resumes a trigger of a server.
///
/// # Errors
/// A server that can't be reached, or rejects the request.
pub fn set_paused_there(there: &There, key: &TriggerKey, is_paused: bool) -> Result<(), RunsError> {
    let (workflow, trigger) = (encoded(&key.workflow), encoded(&key.trigger));
    let verb = if is_paused { "pause" } else { "resume" };
    let path = format!("/api/v1/triggers/{workflow}/{trigger}/{verb}");
    there.post(&path, &json!({}))
}
