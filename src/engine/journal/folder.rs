use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::error::JournalError;
use windlass_ground::disk;

/// Others could replace the journal or the identity.
pub(super) const OTHERS_WRITE: u32 = 0o002;

/// Creates the state folder, for its owner only, and excludes it from version control.
pub(super) fn create(state: &Path) -> io::Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    disk::create_folders(disk::parent(state), 0o777)?;
    disk::create_folders(state, 0o700)?;
    fs::write(state.join(".gitignore"), "*\n")
}

/// Rejects a file or folder of this user that gives others more rights than necessary, as ssh does. A folder of another
/// user (a mounted secret) is accepted.
pub(super) fn check_private(path: &Path, forbidden: u32) -> Result<(), JournalError> {
    let Ok(metadata) = fs::metadata(path) else {
        // The caller reports the error when it opens the path.
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
