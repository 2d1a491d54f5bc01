use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::error::JournalError;
use windlass_ground::disk;

/// Others could put another journal, or another identity, in its place.
pub(super) const OTHERS_WRITE: u32 = 0o002;

/// Makes the state folder, for its owner only, and keeps it out of version control.
pub(super) fn create(state: &Path) -> io::Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    disk::create_folders(disk::parent(state), 0o777)?;
    disk::create_folders(state, 0o700)?;
    fs::write(state.join(".gitignore"), "*\n")
}

/// Refuses a file or folder of this user's that others have more rights to than they must, as ssh
/// does. A folder of another user (a mounted secret) is left as it is.
pub(super) fn check_private(path: &Path, forbidden: u32) -> Result<(), JournalError> {
    let Ok(metadata) = fs::metadata(path) else {
        // The caller that opens it reports why that fails.
        return Ok(());
    };
    let mode = metadata.mode() & 0o7777;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    match is_own && mode & forbidden != 0 {
        true => Err(JournalError::TooOpen {
            path: path.into(),
            mode,
            private: mode & !forbidden & 0o777,
        }),
        false => Ok(()),
    }
}
