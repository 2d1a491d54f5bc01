//! Files and folders that other users of this machine must not have.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{fs::StatVfsMountFlags, process};

use super::disk;

/// The name of the state folder, unless `--state` says otherwise.
const STATE: &str = ".windlass";
/// What a file with secrets in it gives to nobody but its owner.
const GROUP_AND_OTHERS: u32 = 0o077;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// A file or folder that other users of this machine can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrivate {
    #[error("{} has mode {mode:o}: other users of this machine can use it", path.display())]
    TooOpen {
        path: PathBuf,
        mode: u32,
        /// The mode that denies others access.
        private: u32,
        /// Whether the user of this process may change the mode.
        is_own: bool,
    },
    #[error("{} belongs to the user with the id {owner}, who can replace what is in it", path.display())]
    Foreign {
        path: PathBuf,
        owner: u32,
        /// The user of this process.
        user: u32,
    },
}

impl NotPrivate {
    /// Returns the command that helps.
    pub fn hint(&self) -> String {
        match self {
            Self::TooOpen {
                path,
                private,
                is_own: true,
                ..
            } => format!("chmod {private:o} {}", path.display()),
            Self::TooOpen { path, private, .. } => {
                let path = path.display();
                format!(
                    "name a folder of your own with --state, such as {path}/state; or, as root: chmod {private:o} {path}"
                )
            }
            Self::Foreign { path, owner, user } => format!(
                "if what is in it is yours: chown -R {user} {}; otherwise run windlass as the user {owner}, or name another folder with --state",
                path.display()
            ),
        }
    }
}

/// Rejects a file with a secret in it that belongs to this user, and that others may read or write, as ssh does. A file of another user, and
/// one on a file system that is mounted read-only, are accepted: so a secret is mounted into a container, where nobody can change its mode.
/// A file that is not there is not an error.
///
/// # Errors
/// [`NotPrivate::TooOpen`].
pub fn check_secret_file(path: &Path) -> Result<(), NotPrivate> {
    let Ok(metadata) = fs::metadata(path) else {
        // The caller reports the error when it opens the file.
        return Ok(());
    };
    let is_open = metadata.mode() & GROUP_AND_OTHERS != 0;
    if is_open && metadata.uid() == user() && !is_read_only(path) {
        Err(too_open(path, &metadata, GROUP_AND_OTHERS))
    } else {
        Ok(())
    }
}

/// Rejects a state folder in which another user could replace the journal or the identity: it must belong to this user or to root, and only
/// the owner may write to it. A folder of root's may be writable for one of this process's groups, as a volume is that was mounted for it.
///
/// # Errors
/// What is wrong with the owner or the mode.
pub fn check_state_folder(path: &Path) -> Result<(), NotPrivate> {
    check_folder_of(path, user())
}

fn check_folder_of(path: &Path, user: u32) -> Result<(), NotPrivate> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    let owner = metadata.uid();
    // Root may read everything anyway, such as the folder of a service.
    if owner != user && owner != 0 && user != 0 {
        let path = path.to_owned();
        return Err(NotPrivate::Foreign { path, owner, user });
    }
    let is_mounted_for_us = owner != user && is_own_group(metadata.gid());
    let forbidden = if is_mounted_for_us {
        OTHERS_WRITE
    } else {
        GROUP_WRITES | OTHERS_WRITE
    };
    match metadata.mode() & forbidden {
        0 => Ok(()),
        _ => Err(too_open(path, &metadata, forbidden)),
    }
}

/// Creates the state folder, for its owner only, and excludes it from version control. Every command that writes to the state folder calls this
/// first.
///
/// # Errors
/// Whatever the file system says.
pub fn create_state_folder(state: &Path) -> io::Result<()> {
    if state.is_dir() {
        // An older version may have made it without. A folder of another name may have been there before, with other things in it.
        if state.file_name().is_some_and(|name| name == STATE) {
            // It may also be read-only.
            let _ = exclude(state);
        }
        return Ok(());
    }
    disk::create_folders(disk::parent(state), 0o777)?;
    disk::create_folders(state, 0o700)?;
    exclude(state)
}

/// Excludes a state folder from version control, unless that was decided before.
///
/// # Errors
/// Whatever the file system says.
pub fn exclude(state: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options
        .write(true)
        .create_new(true)
        .open(state.join(".gitignore"))
    {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn too_open(path: &Path, metadata: &fs::Metadata, forbidden: u32) -> NotPrivate {
    let mode = metadata.mode() & 0o7777;
    NotPrivate::TooOpen {
        path: path.to_owned(),
        mode,
        private: mode & !forbidden & 0o777,
        is_own: metadata.uid() == user(),
    }
}

fn user() -> u32 {
    process::geteuid().as_raw()
}

fn is_own_group(group: u32) -> bool {
    let others = process::getgroups().unwrap_or_default();
    process::getegid().as_raw() == group || others.iter().any(|other| other.as_raw() == group)
}

fn is_read_only(path: &Path) -> bool {
    let mounted = rustix::fs::statvfs(path);
    mounted.is_ok_and(|mounted| mounted.f_flag.contains(StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own");
    }

    #[test]
    fn a_state_folder_is_its_owners() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let state = root.path().join("a/.windlass");
        create_state_folder(&state).expect("made");
        let mode = fs::metadata(&state).expect("there").mode() & 0o777;
        assert_eq!(mode, 0o700);
        let ignored = state.join(".gitignore");
        assert_eq!(fs::read(&ignored).expect("there"), b"*\n");
        assert_eq!(check_state_folder(&state), Ok(()));
        for (mode, private) in [
            (0o770, "750"),
            (0o775, "755"),
            (0o777, "755"),
            (0o702, "700"),
        ] {
            chmod(&state, mode);
            let refused = check_state_folder(&state).expect_err("others may write");
            assert_eq!(
                refused.hint(),
                format!("chmod {private} {}", state.display())
            );
        }
        chmod(&state, 0o755);
        assert_eq!(check_state_folder(&state), Ok(()));
        // Whatever is in it stays.
        fs::write(&ignored, "!x\n").expect("written");
        create_state_folder(&state).expect("there");
        assert_eq!(fs::read(&ignored).expect("there"), b"!x\n");
        // A folder that an older version made without.
        fs::remove_file(&ignored).expect("removed");
        create_state_folder(&state).expect("there");
        assert!(ignored.is_file());
        create_state_folder(root.path()).expect("there");
        assert!(!root.path().join(".gitignore").exists());
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let root = tempfile::tempdir().expect("a temporary folder");
        // Only root may give a folder away.
        if std::os::unix::fs::chown(root.path(), Some(65534), None).is_err() {
            return;
        }
        // Root may use every folder, such as that of a service.
        assert_eq!(check_folder_of(root.path(), 0), Ok(()));
        let refused = check_folder_of(root.path(), 1000).expect_err("of another user");
        assert!(
            refused.to_string().contains("the user with the id 65534"),
            "{refused}"
        );
        let hint = format!("chown -R 1000 {}", root.path().display());
        assert!(refused.hint().contains(&hint), "{}", refused.hint());
    }

    #[test]
    fn a_secret_file_is_its_owners_unless_it_is_mounted() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("secret");
        assert_eq!(check_secret_file(&path), Ok(()));
        fs::write(&path, "x").expect("written");
        for (mode, private) in [(0o644, "600"), (0o440, "400"), (0o666, "600")] {
            chmod(&path, mode);
            let refused = check_secret_file(&path).expect_err("others may read");
            assert_eq!(
                refused.hint(),
                format!("chmod {private} {}", path.display())
            );
        }
        chmod(&path, 0o600);
        assert_eq!(check_secret_file(&path), Ok(()));
        chmod(&path, 0o644);
        if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
            assert_eq!(check_secret_file(&path), Ok(()));
        }
    }
}
