use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};

/// Makes the state folder, for its owner only, and keeps it out of version control.
pub(super) fn create(state: &Path) -> io::Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    if let Some(parent) = state.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(state) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    fs::write(state.join(".gitignore"), "*\n")
}
