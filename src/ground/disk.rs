//! New folders that survive a power loss: an entry of a folder is on the disk only after the folder itself has been synced.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use tempfile::NamedTempFile;

/// Creates a folder and its missing parents, and syncs each folder that gets a new entry.
///
/// `mode` gives the Unix permission bits of the new folders; the umask is subtracted.
///
/// # Errors
/// A folder can't be created or synced.
pub fn create_folders(path: &Path, mode: u32) -> io::Result<()> {
    for folder in missing(path).into_iter().rev() {
        match fs::DirBuilder::new().mode(mode).create(folder) {
            // Another process has created it first.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            made => made?,
        }
        sync_folder(parent(folder))?;
    }
    Ok(())
}

/// Waits until the entries of a folder are on the disk.
///
/// # Errors
/// The folder can't be opened or synced.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a file that only its owner may read, all or nothing, and waits until it is on the disk. Makes its folder, also for its owner
/// alone.
///
/// # Errors
/// Whatever the file system says.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    draft(path, content)?.persist(path).map_err(|e| e.error)?;
    sync_folder(parent(path))
}

/// Works as [`write_private`], unless the file is there already. Returns whether it wrote the file.
///
/// # Errors
/// Whatever the file system says.
pub fn write_new_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<bool> {
    let is_new = match draft(path, content)?.persist_noclobber(path) {
        Ok(_) => true,
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(e) => return Err(e.error),
    };
    // Also the entry of a file that another process has just made.
    sync_folder(parent(path))?;
    Ok(is_new)
}

/// Returns the text of a file; `None` if there is no such file.
///
/// # Errors
/// A file that is there and can't be read, or is not UTF-8.
pub fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

/// Writes a private file beside a path, which is removed unless it is given that name.
fn draft(path: &Path, content: impl AsRef<[u8]>) -> io::Result<NamedTempFile> {
    create_folders(parent(path), 0o700)?;
    let mut draft = tempfile::Builder::new()
        .prefix(".")
        .suffix(".draft")
        .tempfile_in(parent(path))?;
    draft.write_all(content.as_ref())?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

/// Returns the folder that contains a path: `.` for a plain name, and the root for the root.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Returns the folders on the path that do not exist, the innermost first.
fn missing(path: &Path) -> Vec<&Path> {
    path.ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_no_error() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("file");
        assert_eq!(read_if_there(&path).expect("no error"), None);
        fs::write(&path, "text").expect("written");
        assert_eq!(read_if_there(&path).expect("read").as_deref(), Some("text"));
        read_if_there(root.path()).expect_err("a folder is not a file");
    }

    #[test]
    fn a_private_file_is_whole_and_its_owners() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("new/secret");
        assert!(write_new_private(&path, "one").expect("written"));
        assert!(!write_new_private(&path, "two").expect("there"));
        assert_eq!(fs::read(&path).expect("there"), b"one");
        write_private(&path, "three").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"three");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(parent(&path))), (0o600, 0o700));
        let entries = fs::read_dir(parent(&path)).expect("a folder");
        assert_eq!(entries.count(), 1, "a draft is left");
    }

    #[test]
    fn g8_every_new_folder_is_made_and_known() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let deep = root.path().join("a/b/c");
        assert_eq!(missing(&deep).len(), 3);
        create_folders(&deep, 0o700).expect("made");
        create_folders(&deep, 0o700).expect("there");
        assert!(deep.is_dir() && missing(&deep).is_empty());
        assert_eq!(parent(Path::new("x")), Path::new("."));
        fs::write(root.path().join("file"), "").expect("written");
        assert!(create_folders(&root.path().join("file/x"), 0o700).is_err());
    }
}
