use time::OffsetDateTime;

use super::error::RunsError;
use windlass_engine::journal::RunId;
use windlass_ground::Timestamp;

/// Returns the current time, from the program's only clock.
pub fn now() -> Timestamp {
    OffsetDateTime::now_utc().into()
}

/// Returns a number from 0 to 1 that spreads retries.
pub fn jitter() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// Creates the id of a run that starts now.
///
/// # Errors
/// The system has no randomness.
pub fn new_id() -> Result<RunId, RunsError> {
    let mut random = [0; 6];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| RunsError::broken("system", "the system could not provide random bytes"))?;
    Ok(RunId::new(OffsetDateTime::now_utc(), random))
}
