use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Scanned;
use crate::place::Place;
use windlass_world::x509::holding::read;

/// The largest file that is read, in bytes. For comparison, a bundle of all public CAs has about 250 KB.
const LARGEST: u64 = 4 << 20;
/// The deepest nesting of folders.
const DEEPEST: usize = 32;
/// The largest number of files. More are probably a mistake in the path, such as `/`.
const MOST: usize = 200_000;
/// The file extensions for certificates. A problem in another file is not reported.
const EXTENSIONS: [&str; 9] = [
    "pem", "crt", "cer", "cert", "der", "p7b", "p12", "pfx", "jks",
];

/// Reads a file, or all files of a folder and its subfolders. Links to folders are not followed.
///
/// # Errors
/// Fails if the path can't be accessed.
pub fn files(path: &Path, scanned: &mut Scanned) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        let found = one(path, scanned);
        if found == Some(0) {
            scanned.problem(path.display().to_string(), "contains no certificate");
        }
        return Ok(());
    }
    let mut folders: Vec<(PathBuf, usize)> = vec![(path.to_owned(), 0)];
    let mut count = 0;
    while let Some((folder, depth)) = folders.pop() {
        let name = folder.display().to_string();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                scanned.problem(name, error.to_string());
                continue;
            }
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let is_link = path.is_symlink();
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() && is_link => {}
                Ok(found) if found.is_dir() && depth == DEEPEST => {
                    scanned.problem(
                        path.display().to_string(),
                        "is nested too deeply, and was not read",
                    );
                }
                Ok(found) if found.is_dir() => folders.push((path, depth + 1)),
                // Pipes and devices are skipped, because reading them could block.
                Ok(found) if !found.is_file() => {}
                _ if count == MOST => {
                    let why = format!("has more than {MOST} files below it; the rest was not read");
                    scanned.problem(name, why);
                    return Ok(());
                }
                _ => {
                    count += 1;
                    one(&path, scanned);
                }
            }
        }
    }
    Ok(())
}

/// Reads a file. Returns the number of its certificates; `None` if it could not be read.
fn one(path: &Path, scanned: &mut Scanned) -> Option<usize> {
    let name = path.display().to_string();
    let content = fs::metadata(path).and_then(|found| {
        if found.len() > LARGEST {
            Ok(None)
        } else {
            fs::read(path).map(Some)
        }
    });
    let content = match content {
        Ok(Some(content)) => content,
        Ok(None) => {
            if is_expected(path) {
                scanned.problem(name, "is larger than 4 MiB, and was not read");
            }
            return None;
        }
        Err(error) => {
            scanned.problem(name, error.to_string());
            return None;
        }
    };
    let mut read = read(&content);
    // A file of another kind may begin with the same byte as DER.
    if read.certificates.is_empty() && content.first() == Some(&0x30) && !is_expected(path) {
        read.problems.clear();
    }
    let is_broken = !read.problems.is_empty();
    let count = scanned.add(&Place::File { path: name }, read);
    (!is_broken).then_some(count)
}

fn is_expected(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}
