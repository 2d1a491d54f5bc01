//! Folders for drafts. They hold keys, so none of them is left behind: not when the command is interrupted, and those of a process that was
//! killed only until the next command that writes beside them.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use tempfile::TempDir;

use super::backup::unwritable;
use crate::{ground::lock, runs::RunsError};

/// The file within a draft that its process keeps locked.
const LOCK: &str = "lock";

/// The drafts of this process.
static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder that only its owner may enter, which is removed in the end.
pub struct Draft {
    folder: TempDir,
    _locked: File,
}

impl Draft {
    /// Creates a folder within another one, and removes those that a killed process left there.
    pub fn create(within: &Path, prefix: &str) -> Result<Self, RunsError> {
        remove_left(within, prefix);
        let create = || {
            let folder = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(within)?;
            lock(&OWN).push(folder.path().to_owned());
            // It gets its name when it is locked, so that nobody takes it for one that was left.
            let (new, path) = (folder.path().join("new"), folder.path().join(LOCK));
            let locked = File::create_new(&new)?;
            locked.lock()?;
            fs::rename(new, path)?;
            Ok(Self {
                folder,
                _locked: locked,
            })
        };
        create().map_err(|e: io::Error| unwritable(within, &e))
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        lock(&OWN).retain(|path| path != self.folder.path());
    }
}

/// Removes the drafts of this process, which is about to end in the middle of its work.
pub fn remove_drafts() {
    for path in lock(&OWN).drain(..) {
        // Nothing more can be done about one that can't be removed.
        let _ = fs::remove_dir_all(path);
    }
}

fn remove_left(within: &Path, prefix: &str) {
    for entry in fs::read_dir(within).into_iter().flatten().flatten() {
        let is_draft = entry.file_name().to_string_lossy().starts_with(prefix);
        let is_left = || {
            let file = File::open(entry.path().join(LOCK));
            file.is_ok_and(|file| file.try_lock().is_ok())
        };
        if is_draft && is_left() {
            // It may belong to another user.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_stays() {
        let within = tempfile::tempdir().expect("a folder");
        let used = Draft::create(within.path(), ".draft-").expect("created");
        let mode = fs::metadata(used.path()).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        for name in [".draft-left", ".other"] {
            fs::create_dir(within.path().join(name)).expect("made");
            fs::write(within.path().join(name).join(LOCK), "").expect("written");
        }
        let next = Draft::create(within.path(), ".draft-").expect("created");
        assert!(used.path().exists() && next.path().exists());
        assert!(!within.path().join(".draft-left").exists());
        assert!(within.path().join(".other").exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
