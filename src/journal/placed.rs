//! Files that must stay where they were opened. SQLite and a lock go on with a file that was moved or deleted, and what is recorded
//! then is lost.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::error::JournalError;

/// The journal's database within a state folder.
pub const JOURNAL: &str = "journal.db";

/// A file that is open, and its path.
#[derive(Debug)]
pub(super) struct Placed {
    path: PathBuf,
    /// Its device and its number there.
    file: (u64, u64),
}

impl Placed {
    /// Remembers the file that a path names now.
    pub fn at(path: PathBuf) -> io::Result<Self> {
        let file = file_at(&path)?;
        Ok(Self { path, file })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Remembers an open file, which the path may no longer name.
    pub fn of(file: &File, path: PathBuf) -> io::Result<Self> {
        let file = identity(&file.metadata()?);
        Ok(Self { path, file })
    }

    /// # Errors
    /// [`JournalError::Moved`] if the path names another file, or none. If it can't be read, that is not known, and no error.
    pub fn check(&self) -> Result<(), JournalError> {
        let is_there = match file_at(&self.path) {
            Ok(file) => file == self.file,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if is_there {
            Ok(())
        } else {
            Err(JournalError::Moved(self.path.clone()))
        }
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    Ok(identity(&fs::metadata(path)?))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
