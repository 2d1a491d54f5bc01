use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Locks a file for other processes until this is dropped, or its process ends. The lock is a separate file beside it, because each
/// change replaces the file.
pub struct Lock {
    /// The lock belongs to the open file (flock(2)).
    _file: File,
}

impl Lock {
    /// Waits until no other process changes the file.
    pub fn of(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.with_extension("lock"))?;
        file.lock()?;
        Ok(Self { _file: file })
    }
}
