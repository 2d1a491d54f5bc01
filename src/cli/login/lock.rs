use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Keeps other processes from changing a file until it is dropped, or its process ends. The lock is a file beside it, since a
/// change puts another file in its place.
pub struct Lock {
    /// The lock is the open file's (flock(2)).
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
