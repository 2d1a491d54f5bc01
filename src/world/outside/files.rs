use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::answer::{Client, NAMED, NOT_NAMED, proof};
use crate::value::{Digest, Failure, FailureClass};
use windlass_ground::disk;

/// The folder that a run writes to (`--out`). It gives access to no other files.
#[derive(Clone, Debug)]
pub struct OutputFolder {
    root: PathBuf,
    /// Whether other machines may have written files of the same run to folders of their own.
    is_one_of_several: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: PathBuf,
    pub bytes: usize,
    pub sha256: Digest,
}

/// The former state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `None` if it is larger than 512 KiB.
    pub content: Option<Vec<u8>>,
    /// Unix permission bits.
    pub mode: u32,
}

/// A snapshot is stored in the journal, in base64 and encrypted.
pub const MAX_SNAPSHOT_BYTES: u64 = 512 << 10;

/// Files that scripts read are held in memory and stored in the journal.
const MAX_READ_BYTES: u64 = 1 << 20;

impl OutputFolder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            is_one_of_several: false,
        }
    }

    /// Returns it as the folder of one of several workers, which may not share one.
    pub fn of_worker(self) -> Self {
        Self {
            is_one_of_several: true,
            ..self
        }
    }

    /// Returns what tells the folder from those of other workers, however it is called on each machine; `None` if there are none, or there is
    /// no folder yet. A folder that machines share has the same on each of them.
    pub fn identity(&self) -> Option<String> {
        let found = fs::metadata(&self.root)
            .ok()
            .filter(|_| self.is_one_of_several)?;
        // Not each file system knows when a folder was made.
        let made = found.created().ok();
        let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = made.map_or(0, |made| made.as_nanos());
        Some(format!("{}-{made}", found.ino()))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a whole file, or leaves the old one: the content is written to a temporary file beside it, is synced, and then
    /// gets the name in one step.
    ///
    /// `mode` is the Unix permission bits, in force from the first byte on. Each concurrent writer needs a different
    /// `writer`.
    ///
    /// # Errors
    /// A name that leaves the folder, or an error of the file system.
    pub fn write(
        &self,
        name: &str,
        content: &[u8],
        mode: u32,
        writer: &str,
    ) -> Result<Written, Failure> {
        let operation = format!("write {name}");
        let path = self.resolve(name, &operation)?;
        write_whole(&path, content, mode, writer).map_err(|e| {
            io_failure(&operation, &path, &e).proving(proof(Client::File, "write", NOT_NAMED))
        })?;
        disk::sync_folder(disk::parent(&path)).map_err(|e| {
            io_failure(&operation, &path, &e).proving(proof(Client::File, "write", NAMED))
        })?;
        Ok(Written {
            bytes: content.len(),
            sha256: Digest::of_content(content),
            path,
        })
    }

    /// Removes the temporary file of an interrupted write.
    ///
    /// # Errors
    /// The same as of [`OutputFolder::write`].
    pub fn clear_after(&self, name: &str, writer: &str) -> Result<(), Failure> {
        let operation = format!("remove {name}");
        let path = self.resolve(name, &operation)?;
        let left = temporary(&path, writer);
        match fs::remove_file(&left) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_failure(&operation, &left, &e)),
            _ => Ok(()),
        }
    }

    /// Says whether there is such a file, without reading it.
    ///
    /// # Errors
    /// A name that leaves the folder, or an error of the file system.
    pub fn exists(&self, name: &str) -> Result<bool, Failure> {
        let operation = format!("look at {name}");
        let path = self.resolve(self.name_of(name), &operation)?;
        match fs::metadata(&path) {
            Ok(found) => Ok(found.is_file()),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(io_failure(&operation, &path, &e)),
        }
    }

    /// Reads a file in the folder, up to 1 MiB, with its Unix permission bits.
    ///
    /// # Errors
    /// A name that leaves the folder, or a file that does not exist or is too large.
    pub fn read(&self, name: &str) -> Result<(Vec<u8>, u32), Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(self.name_of(name), &operation)?;
        let mut content = Vec::new();
        let failed = |e: io::Error| io_failure(&operation, &path, &e);
        let file = open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        file.take(MAX_READ_BYTES + 1)
            .read_to_end(&mut content)
            .map_err(failed)?;
        if content.len() as u64 > MAX_READ_BYTES {
            let message = format!("{} is larger than 1 MiB", path.display());
            return Err(Failure::new(
                FailureClass::Rejected,
                operation,
                "TooLarge",
                message,
            ));
        }
        Ok((content, mode & 0o7777))
    }

    /// Returns the current state of a file; `None` if there is none.
    ///
    /// # Errors
    /// A name that leaves the folder, or an error of the file system.
    pub fn snapshot(&self, name: &str) -> Result<Option<Snapshot>, Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(name, &operation)?;
        let failed = |e: &io::Error| io_failure(&operation, &path, e);
        let mut file = match open(&path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(failed(&e)),
        };
        let metadata = file.metadata().map_err(|e| failed(&e))?;
        let content = if metadata.len() > MAX_SNAPSHOT_BYTES {
            None
        } else {
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(|e| failed(&e))?;
            Some(content)
        };
        Ok(Some(Snapshot {
            content,
            mode: metadata.permissions().mode() & 0o7777,
        }))
    }

    /// Returns the digest of the current content of a file, and its Unix permission bits; `None` if there is none.
    ///
    /// # Errors
    /// The same as of [`OutputFolder::snapshot`].
    pub fn digest(&self, name: &str) -> Result<Option<(Digest, u32)>, Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(name, &operation)?;
        let read = || {
            let file = open(&path)?;
            let mode = file.metadata()?.permissions().mode() & 0o7777;
            Ok((Digest::of_reader(file)?, mode))
        };
        match read() {
            Ok(found) => Ok(Some(found)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(io_failure(&operation, &path, &e)),
        }
    }

    /// Returns the name of the nearest folder above a file that exists, if it is empty; `None` if it is not, or is the output folder
    /// itself.
    ///
    /// # Errors
    /// The same as of [`OutputFolder::snapshot`].
    pub fn empty_folder_above(&self, name: &str) -> Result<Option<String>, Failure> {
        let operation = format!("read {name}");
        let path = self.resolve(name, &operation)?;
        let existing = path.ancestors().skip(1).find(|folder| folder.is_dir());
        let inside =
            existing.and_then(|folder| Some((folder, folder.strip_prefix(&self.root).ok()?)));
        let Some((folder, inside)) = inside.filter(|(_, inside)| !inside.as_os_str().is_empty())
        else {
            return Ok(None);
        };
        let entries = fs::read_dir(folder).map_err(|e| io_failure(&operation, folder, &e));
        let is_empty = entries?.next().is_none();
        Ok(is_empty.then(|| inside.display().to_string()))
    }

    /// Lists the names of the files in the folder and below, sorted, without links.
    ///
    /// # Errors
    /// An error of the file system.
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
                        let name = name.display().to_string();
                        // Others may be writing at the same time.
                        if !name.ends_with(TEMPORARY) {
                            names.push(name);
                        }
                    }
                    _ => {}
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file, and the folders above it that are then empty, up to the folder `kept`. A file that does not exist counts as
    /// removed.
    ///
    /// # Errors
    /// The same as of [`OutputFolder::write`].
    pub fn remove(&self, name: &str, kept: Option<&str>) -> Result<(), Failure> {
        let operation = format!("remove {name}");
        let path = self.resolve(name, &operation)?;
        let failed = |e: io::Error| io_failure(&operation, &path, &e);
        match fs::remove_file(&path) {
            Err(e) if is_absent(&e) => return Ok(()),
            removed => removed.map_err(failed)?,
        }
        let mut folder = disk::parent(&path);
        let kept = self.root.join(kept.unwrap_or_default());
        while folder != self.root
            && folder != kept
            && folder.starts_with(&self.root)
            && fs::remove_dir(folder).is_ok()
        {
            folder = disk::parent(folder);
        }
        disk::sync_folder(folder).map_err(failed)
    }

    /// Returns the name of a file that may be given by its whole path, as [`OutputFolder::write`] returns it.
    fn name_of<'n>(&self, given: &'n str) -> &'n str {
        let inside = Path::new(given).strip_prefix(&self.root);
        let name = inside.ok().and_then(Path::to_str);
        name.unwrap_or(given)
    }

    /// Returns the path of a file. The name must not contain `..`, be absolute, or pass a symbolic link that leads out of the
    /// folder.
    fn resolve(&self, name: &str, operation: &str) -> Result<PathBuf, Failure> {
        let refuse = |why: &str| {
            Failure::new(FailureClass::Rejected, operation, "OutsideFolder", why)
                .with_hint("scripts read and write below the output folder (`--out`) only")
        };
        check_output_name(name).map_err(|why| refuse(&why))?;
        let path = self.root.join(name);
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

/// Checks the name of a file in the output folder.
///
/// # Errors
/// A name that leaves the folder.
pub fn check_output_name(name: &str) -> Result<(), String> {
    let mut parts = Path::new(name).components();
    if !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_))) {
        Ok(())
    } else {
        Err("the name must be a plain path below the output folder".into())
    }
}

/// How the name of a temporary file ends.
const TEMPORARY: &str = ".windlass-tmp";

/// Returns a name that contains the writer's: others may write the same file at the same time, and the same writer's next
/// attempt replaces what a crash left, or an undo removes it.
fn temporary(path: &Path, writer: &str) -> PathBuf {
    path.with_file_name(format!(".{writer}{TEMPORARY}"))
}

fn write_whole(path: &Path, content: &[u8], mode: u32, writer: &str) -> io::Result<()> {
    let folder = disk::parent(path);
    disk::create_folders(folder, 0o777)?;
    let temporary = temporary(path, writer);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let written = write_new(&temporary, content, mode).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // It may contain a key, or a part of one.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(())
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // Set explicitly, because of the umask: the mode later decides whether the file's text is a secret.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Opens a file for reading. Rejects folders, and pipes, whose opening would wait for a writer.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ))
    }
}

/// Says whether the file, or a folder on the way to it, does not exist.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
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
        assert_eq!(out.read("a/b.key"), Ok((b"hello".to_vec(), 0o600)));
    }

    #[test]
    fn what_is_being_written_is_not_listed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path());
        out.write("a/b", b"x", 0o644, "w").expect("written");
        let other = temporary(&folder.path().join("a/c"), "other");
        fs::write(other, "half").expect("written");
        assert_eq!(out.list(), Ok(vec!["a/b".to_owned()]));
    }

    #[test]
    fn g8_a_write_that_fails_leaves_no_trace() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path());
        fs::create_dir(folder.path().join("relay.key")).expect("made");
        fs::write(folder.path().join("relay.key/x"), "").expect("written");
        let error = out.write("relay.key", b"-----BEGIN PRIVATE KEY", 0o600, "w");
        assert!(error.is_err(), "a folder has the name");
        let names: Vec<_> = fs::read_dir(folder.path())
            .expect("a folder")
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .collect();
        assert_eq!(names, ["relay.key"]);
    }

    #[test]
    fn g3_a_look_reads_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path());
        // The file is larger than any memory, but takes no space on the disk.
        let large = File::create(folder.path().join("large")).expect("made");
        large.set_len(1 << 42).expect("sparse");
        fs::create_dir(folder.path().join("folder")).expect("made");
        let pipe = std::process::Command::new("mkfifo")
            .arg(folder.path().join("pipe"))
            .status();
        assert!(pipe.is_ok_and(|status| status.success()), "mkfifo");
        for (name, is_there) in [
            ("large", true),
            ("folder", false),
            ("pipe", false),
            ("large/x", false),
            ("none", false),
        ] {
            assert_eq!(out.exists(name), Ok(is_there), "{name}");
        }
        assert!(out.read("pipe").is_err() && out.digest("pipe").is_err());
        assert!(out.snapshot("pipe").is_err());
        assert_eq!(
            out.snapshot("large").expect("there").map(|s| s.content),
            Some(None)
        );
    }

    #[test]
    fn a_look_makes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path().join("out"));
        assert_eq!(out.digest("deep/er/x"), Ok(None));
        assert_eq!(out.snapshot("deep/er/x"), Ok(None));
        out.remove("deep/er/x", None).expect("removed already");
        assert_eq!(out.empty_folder_above("deep/er/x"), Ok(None));
        assert!(!folder.path().join("out").exists());
        out.write("x", b"", 0o644, "w").expect("written");
        assert!(out.read("deep/er/x").is_err());
        assert!(!folder.path().join("out/deep").exists());
    }

    #[test]
    fn an_empty_folder_that_was_there_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = OutputFolder::new(folder.path());
        fs::create_dir(folder.path().join("certs")).expect("made");
        assert_eq!(
            out.empty_folder_above("certs/new/x"),
            Ok(Some("certs".to_owned()))
        );
        out.write("certs/new/x", b"", 0o644, "w").expect("written");
        assert_eq!(out.empty_folder_above("certs/new/y"), Ok(None));
        out.remove("certs/new/x", Some("certs")).expect("removed");
        assert!(folder.path().join("certs").exists());
        assert!(!folder.path().join("certs/new").exists());
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
