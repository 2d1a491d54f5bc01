use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use crate::value::{Digest, Failure, FailureClass};

/// The folder that a run writes to (`--out`), and nowhere else.
#[derive(Clone, Debug)]
pub struct OutputFolder {
    root: PathBuf,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: PathBuf,
    pub bytes: usize,
    pub sha256: Digest,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `None` if it is larger than 512 KiB.
    pub content: Option<Vec<u8>>,
    /// Unix permission bits.
    pub mode: u32,
}

/// A snapshot goes into the journal, in base64 and encrypted.
const MAX_SNAPSHOT_BYTES: u64 = 512 << 10;

/// Files that scripts read are held in memory and go through the journal.
const MAX_READ_BYTES: u64 = 1 << 20;

impl OutputFolder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a whole file, or leaves what was there: the content goes to a temporary file beside
    /// it, is synced, and takes the name at once.
    ///
    /// `mode` is the Unix permission bits, in force from the first byte on. `writer` is another one for
    /// each of those who write at the same time.
    ///
    /// # Errors
    /// A name that leaves the folder, or whatever the file system says.
    pub fn write(
        &self,
        name: &str,
        content: &[u8],
        mode: u32,
        writer: &str,
    ) -> Result<Written, Failure> {
        let operation = format!("write {name}");
        let path = self.resolve(name, &operation)?;
        write_whole(&path, content, mode, writer).map_err(|e| io_failure(&operation, &path, &e))?;
        Ok(Written {
            bytes: content.len(),
            sha256: Digest::of_content(content),
            path,
        })
    }

    /// Removes what a write that was cut off left beside the file.
    ///
    /// # Errors
    /// As [`OutputFolder::write`].
    pub fn clear_after(&self, name: &str, writer: &str) -> Result<(), Failure> {
        let operation = format!("remove {name}");
        let path = self.resolve(name, &operation)?;
        let left = temporary(&path, writer);
        match fs::remove_file(&left) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_failure(&operation, &left, &e)),
            _ => Ok(()),
        }
    }

    /// Reads a file of the folder as text, 1 MiB at most, with its Unix permission bits.
    ///
    /// # Errors
    /// A name that leaves the folder, a file that is not there, too large or not UTF-8.
    pub fn read(&self, name: &str) -> Result<(String, u32), Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(name, &operation)?;
        let mut text = String::new();
        let failed = |e: io::Error| io_failure(&operation, &path, &e);
        check_regular(&path).map_err(failed)?;
        let file = File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        file.take(MAX_READ_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > MAX_READ_BYTES {
            let message = format!("{} is larger than 1 MiB", path.display());
            return Err(Failure::new(
                FailureClass::Rejected,
                operation,
                "TooLarge",
                message,
            ));
        }
        Ok((text, mode & 0o7777))
    }

    /// Looks at a file as it is now; `None` if there is none.
    ///
    /// # Errors
    /// A name that leaves the folder, or whatever the file system says.
    pub fn snapshot(&self, name: &str) -> Result<Option<Snapshot>, Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(name, &operation)?;
        let failed = |e: &io::Error| io_failure(&operation, &path, e);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&e)),
        };
        let metadata = file.metadata().map_err(|e| failed(&e))?;
        let content = match metadata.len() > MAX_SNAPSHOT_BYTES {
            true => None,
            false => {
                let mut content = Vec::new();
                file.read_to_end(&mut content).map_err(|e| failed(&e))?;
                Some(content)
            }
        };
        Ok(Some(Snapshot {
            content,
            mode: metadata.permissions().mode() & 0o7777,
        }))
    }

    /// Digests a file as it is now; `None` if there is none.
    ///
    /// # Errors
    /// As [`OutputFolder::snapshot`].
    pub fn digest(&self, name: &str) -> Result<Option<Digest>, Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(name, &operation)?;
        match check_regular(&path).and_then(|()| fs::read(&path)) {
            Ok(content) => Ok(Some(Digest::of_content(&content))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_failure(&operation, &path, &e)),
        }
    }

    /// Whether there is a file of this name; it is not read.
    ///
    /// # Errors
    /// As [`OutputFolder::snapshot`].
    pub fn exists(&self, name: &str) -> Result<bool, Failure> {
        let operation = format!("look at {name}");
        let path = self.resolve(name, &operation)?;
        path.try_exists()
            .map_err(|e| io_failure(&operation, &path, &e))
    }

    /// Lists the files below the folder by their names, sorted; links are left out.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn list(&self) -> Result<Vec<String>, Failure> {
        let (mut names, mut folders) = (Vec::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io_failure("list", &folder, &e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| io_failure("list", &folder, &e))?;
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        let name = path.strip_prefix(&self.root).unwrap_or(&path);
                        names.push(name.display().to_string());
                    }
                    _ => {}
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file, and the folders above it that are empty then. One that is not there is
    /// removed already.
    ///
    /// # Errors
    /// As [`OutputFolder::write`].
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let operation = format!("remove {name}");
        let path = self.resolve(name, &operation)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io_failure(&operation, &path, &e));
            }
            _ => {}
        }
        let folders = path.ancestors().skip(1);
        for folder in folders.take_while(|f| *f != self.root && f.starts_with(&self.root)) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Finds the file that a name means. No `..`, no absolute path, and no symbolic link on the
    /// way that leads out of the folder.
    fn resolve(&self, name: &str, operation: &str) -> Result<PathBuf, Failure> {
        let refuse = |why: &str| {
            Failure::new(FailureClass::Rejected, operation, "OutsideFolder", why)
                .with_hint("scripts read and write below the output folder (`--out`) only")
        };
        let relative = Path::new(name);
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !plain {
            return Err(refuse(
                "the name must be a plain path below the output folder",
            ));
        }
        let path = self.root.join(relative);
        let parent = path.parent().unwrap_or(&self.root);
        let real = |path: &Path| {
            path.canonicalize()
                .map_err(|e| io_failure(operation, path, &e))
        };
        if self.root.exists() {
            let root = real(&self.root)?;
            let existing = parent
                .ancestors()
                .find(|folder| folder.exists())
                .unwrap_or(&self.root);
            if !real(existing)?.starts_with(&root) {
                return Err(refuse("a link on the way leads out of the output folder"));
            }
        }
        if path.is_symlink() {
            return Err(refuse("the file is a symbolic link"));
        }
        Ok(path)
    }
}

/// Named by its writer: others may write the same file at the same time, and what a crash left is
/// replaced by the same writer's next attempt, or cleared by an undo.
fn temporary(path: &Path, writer: &str) -> PathBuf {
    path.with_file_name(format!(".{writer}.windlass-tmp"))
}

/// Refuses what is no file: reading a FIFO waits for somebody who writes to it.
fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn write_whole(path: &Path, content: &[u8], mode: u32, writer: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary = temporary(path, writer);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    // Whatever the umask takes away: a file's mode says later whether its text is a secret.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

fn io_failure(operation: &str, path: &Path, error: &io::Error) -> Failure {
    let class = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FailureClass::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureClass::Unavailable,
        _ => FailureClass::Rejected,
    };
    let failure = Failure::new(
        class,
        operation,
        format!("{:?}", error.kind()),
        format!("{}: {error}", path.display()),
    );
    match class {
        FailureClass::Denied => {
            failure.with_hint("the output folder (`--out`) must be yours to read and write")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_whole_and_has_its_mode() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path().join("out"));
        let written = out.write("a/b.key", b"hello", 0o600, "w").expect("written");
        let mode = fs::metadata(&written.path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(out.read("a/b.key"), Ok(("hello".into(), 0o600)));
    }

    #[test]
    fn a_look_makes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path().join("out"));
        assert_eq!(out.digest("deep/er/x"), Ok(None));
        assert_eq!(out.snapshot("deep/er/x"), Ok(None));
        out.remove("deep/er/x").expect("removed already");
        assert!(!folder.path().join("out").exists());
        out.write("x", b"", 0o644, "w").expect("written");
        assert!(out.read("deep/er/x").is_err());
        assert!(!folder.path().join("out/deep").exists());
    }

    #[test]
    fn no_way_out_of_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path().join("out"));
        out.write("x", b"", 0o644, "w").expect("written");
        symlink(folder.path(), folder.path().join("out/link")).expect("linked");
        symlink("/etc/hostname", folder.path().join("out/file")).expect("linked");
        for name in [
            "../x",
            "/etc/x",
            "",
            "a/../../x",
            "link/x",
            "link/new/x",
            "file",
        ] {
            let error = out.write(name, b"bad", 0o644, "w").expect_err(name);
            assert_eq!(error.code, "OutsideFolder", "{name}");
        }
        assert!(!folder.path().join("x").exists() && !folder.path().join("new").exists());
    }
}
