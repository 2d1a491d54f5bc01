//! New folders that a power cut does not take back: an entry of a folder is on the disk only once the
//! folder itself is synced. What every store stands on; knows no room.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

/// Makes a folder and those above it, and syncs each folder that got a new entry.
///
/// `mode` is the Unix permission bits of the new ones, less the umask.
///
/// # Errors
/// Whatever the file system says.
pub fn create_folders(path: &Path, mode: u32) -> io::Result<()> {
    for folder in missing(path).into_iter().rev() {
        match fs::DirBuilder::new().mode(mode).create(folder) {
            // Another process was faster.
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
/// Whatever the file system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The folder that an entry stands in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// A folder that is not there, and those above it that are not, the innermost first.
fn missing(path: &Path) -> Vec<&Path> {
    path.ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
