use std::{fs, io, path::Path};

use crate::disk;

/// Makes the state folder, for its owner only, and keeps it out of version control.
pub(super) fn create(state: &Path) -> io::Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    disk::create_folders(disk::parent(state), 0o777)?;
    disk::create_folders(state, 0o700)?;
    fs::write(state.join(".gitignore"), "*\n")
}
