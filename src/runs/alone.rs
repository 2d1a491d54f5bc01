use std::path::Path;

use super::error::RunsError;
use windlass_journal::{JournalError, RunId, RunLock};

/// Takes the lock that keeps a second service out of a state folder: two would both continue the runs of an earlier one.
///
/// # Errors
/// Another service, or a folder that can't be written.
pub(super) fn only_one(state: &Path) -> Result<RunLock, RunsError> {
    RunLock::take(state, &RunId::stored("serve".into())).map_err(|error| match error {
        JournalError::Owned { owner, .. } => {
            let message = format!("{owner} already serves the runs in {}", state.display());
            RunsError::conflict("serve", message)
                .hint("one server drives the runs of a folder: use that one (`--server URL`), or stop it first")
        }
        error => error.into(),
    })
}
