use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use super::{error::JournalError, id::RunId, owner::Owner, placed::Placed};

/// How often and with which pause a lock that is held is tried again: a process that only checks whether a run is driven
/// holds its lock for some microseconds.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// Gives this process sole ownership of a run until it is dropped or the process dies, when the OS releases it.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
    placed: Placed,
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
        windlass_ground::disk::create_folders(&folder, 0o777).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match try_lock(&file) {
            Ok(()) => {
                // Only for the error message; the lock itself decides.
                file.set_len(0)
                    .and_then(|()| write!(file, "{}", Owner::own().to_line()))
                    .map_err(failed)?;
                // `prune` may have removed the file since it was opened.
                let placed = Placed::of(&file, path.clone()).map_err(failed)?;
                placed.check()?;
                Ok(Self {
                    _file: file,
                    placed,
                })
            }
            Err(TryLockError::WouldBlock) => {
                let mut line = String::new();
                let _ = file
                    .rewind()
                    .and_then(|()| file.read_to_string(&mut line).map(|_| ()));
                let owner = Owner::read(&line);
                Err(JournalError::Owned {
                    run: run.clone(),
                    owner: owner.map_or("another process".into(), |owner| owner.to_string()),
                })
            }
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    /// Removes the lock's file, because the run has been deleted.
    pub(super) fn remove(self) {
        // If this fails, an empty file stays, which does no harm.
        let _ = fs::remove_file(self.placed.path());
    }

    /// # Errors
    /// The lock's file was removed, so that another process may take a lock of its own.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        self.placed.check()
    }

    /// Says whether a process drives the run right now.
    ///
    /// # Errors
    /// The lock exists but can't be checked, so it is not known whether it is held.
    pub fn is_taken(state: &Path, run: &RunId) -> Result<bool, JournalError> {
        let path = state.join("locks").join(run.as_str());
        match File::open(&path) {
            Ok(file) => Ok(matches!(
                file.try_lock_shared(),
                Err(TryLockError::WouldBlock)
            )),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(JournalError::Folder { path, source }),
        }
    }
}

fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_who_holds_a_lock_does_not_take_it() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let run = RunId::stored("run".into());
        drop(RunLock::take(state.path(), &run).expect("taken"));
        let asking = File::open(state.path().join("locks/run")).expect("opened");
        asking.try_lock_shared().expect("asked");
        thread::scope(|scope| {
            let taking = scope.spawn(|| RunLock::take(state.path(), &run));
            thread::sleep(2 * PAUSE);
            drop(asking);
            assert!(taking.join().expect("no panic").is_ok());
        });
        assert!(!RunLock::is_taken(state.path(), &run).expect("looked at"));
    }
}
