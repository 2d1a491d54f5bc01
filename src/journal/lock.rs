use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use super::{error::JournalError, id::RunId};

/// Owns a run for this process, until it is dropped or the process dies: the OS lets go then.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// # Errors
    /// [`JournalError::Owned`] with the other process's id, if one drives the run.
    pub fn take(state: &Path, run: &RunId) -> Result<Self, JournalError> {
        let folder = state.join("locks");
        let path = folder.join(run.as_str());
        let failed = |source| JournalError::Folder {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                // For the message below only; the lock is what counts.
                file.set_len(0)
                    .and_then(|()| write!(file, "{}", std::process::id()))
                    .map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file
                    .rewind()
                    .and_then(|()| file.read_to_string(&mut owner).map(|_| ()));
                Err(JournalError::Owned {
                    run: run.clone(),
                    owner,
                })
            }
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    /// Whether some process drives the run right now.
    pub fn is_taken(state: &Path, run: &RunId) -> bool {
        let Ok(file) = File::open(state.join("locks").join(run.as_str())) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}
