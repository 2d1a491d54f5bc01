use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::compile::is_test;

/// Folders without sources.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// Returns the test files in these files and folders, sorted. A file is accepted whatever its name is; for a workflow, the test file
/// beside it is used. Folders whose names begin with a dot are skipped.
///
/// # Errors
/// A path that can't be read.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut found = BTreeSet::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|e| (path.clone(), e))?;
        if metadata.is_dir() {
            walk(path, &is_test, &mut found)?
        } else {
            found.insert(beside(path));
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns the test file of a workflow, if there is one; returns any other file unchanged.
fn beside(path: &Path) -> PathBuf {
    let tests = path.with_extension("test.yaml");
    if !is_test(path) && tests.is_file() {
        tests
    } else {
        path.to_owned()
    }
}

/// Lists the wanted files below a folder.
///
/// # Errors
/// A folder that can't be read.
pub fn walk(
    folder: &Path,
    is_wanted: &dyn Fn(&Path) -> bool,
    found: &mut BTreeSet<PathBuf>,
) -> Result<(), (PathBuf, io::Error)> {
    let failed = |e| (folder.to_owned(), e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // A link to a folder could form a cycle.
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        match is_folder {
            true if name.starts_with('.') || SKIPPED.contains(&&*name) => {}
            true => walk(&path, is_wanted, found)?,
            false if is_wanted(&path) => {
                found.insert(path.strip_prefix(".").map_or(path.clone(), Path::to_owned));
            }
            false => {}
        }
    }
    Ok(())
}
