//! Folders for drafts. They hold keys, so none of them stays: an interrupted command removes its own, and one that was killed leaves it
//! only until the next command that writes beside it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::unistd::Uid;
use tempfile::TempDir;

use super::backup::unwritable;
use crate::{ground::lock, runs::RunsError};

/// The file within a draft that its process keeps locked.
const LOCK: &str = "lock";

/// How old a draft must be that has no lock: its process was killed as it created it.
const OLD: Duration = Duration::from_secs(3600);

/// The drafts of this process.
static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Whether this process is to end: nothing more is written to its drafts.
static STOPS: AtomicBool = AtomicBool::new(false);

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
            // A file system without locks has drafts that nobody else takes for left ones either.
            let _ = locked.lock();
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

/// Makes this process stop to write to its drafts: it is about to end.
pub fn stop() {
    STOPS.store(true, Ordering::Relaxed);
}

pub fn is_stopped() -> bool {
    STOPS.load(Ordering::Relaxed)
}

/// Fails after [`stop`].
pub(super) fn refuse_stopped() -> io::Result<()> {
    if is_stopped() {
        Err(io::Error::other("interrupted"))
    } else {
        Ok(())
    }
}

/// Removes the drafts of this process, which is about to end in the middle of its work.
pub fn remove_drafts() {
    for path in lock(&OWN).drain(..) {
        // What writes to it by its path no longer finds it.
        let gone = path.with_extension("gone");
        let path = fs::rename(&path, &gone).map_or(path, |()| gone);
        // Nothing more can be done about one that can't be removed.
        let _ = fs::remove_dir_all(path);
    }
}

fn remove_left(within: &Path, prefix: &str) {
    for entry in fs::read_dir(within).into_iter().flatten().flatten() {
        let is_draft = entry.file_name().to_string_lossy().starts_with(prefix);
        if is_draft && is_left(&entry.path()) {
            // Nothing more can be done about one that can't be removed.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a draft is of this user, and no process keeps it.
fn is_left(draft: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(draft) else {
        return false;
    };
    if !found.is_dir() || found.uid() != Uid::effective().as_raw() {
        return false;
    }
    let path = draft.join(LOCK);
    match fs::symlink_metadata(&path) {
        Ok(file) if file.is_file() => {
            let file = File::open(path);
            file.is_ok_and(|file| file.try_lock().is_ok())
        }
        Ok(_) => false,
        Err(_) => found
            .modified()
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD)),
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
