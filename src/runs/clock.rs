use time::OffsetDateTime;

use super::error::RunsError;
use windlass_ground::{Timestamp, random_bytes};
use windlass_journal::RunId;

/// Returns the current time, from the program's only clock.
pub fn now() -> Timestamp {
    OffsetDateTime::now_utc().into()
}

/// Creates the id of a run that starts now.
///
/// # Errors
/// The system has no randomness.
pub fn new_id() -> Result<RunId, RunsError> {
    let mut random = [0; 6];
    random_bytes(&mut random).map_err(|e| RunsError::broken("system", e.to_string()))?;
    Ok(RunId::new(OffsetDateTime::now_utc(), random))
}
