//! New folders that survive a power loss: an entry of a folder is on the disk only after the folder itself has been synced.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

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
    use super::*;

    #[test]
    fn missing_folders_are_found_and_created() {
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
