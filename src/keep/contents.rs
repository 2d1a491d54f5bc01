use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The first bytes of SQLite's files (sqlite.org/fileformat2.html, 1.3.1).
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
/// The locks of processes that drive runs. They are useless in a backup.
const LOCKS: &str = "locks";
/// The cache of `windlass certs`, which can be created again from the runs.
const CACHE: &str = "inventory.db";
/// The name endings of SQLite's files beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The files of a state folder, by their paths within it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub databases: Vec<PathBuf>,
    pub others: Vec<PathBuf>,
}

impl Contents {
    /// Lists what a backup of a state folder contains.
    ///
    /// # Errors
    /// Fails if a file or folder can't be read.
    pub fn of(state: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        found.collect(state, Path::new(""))?;
        found.databases.sort();
        found.others.sort();
        Ok(found)
    }

    fn collect(&mut self, state: &Path, within: &Path) -> io::Result<()> {
        for entry in fs::read_dir(state.join(within))? {
            let path = within.join(entry?.file_name());
            if is_left_out(&path) {
                continue;
            }
            // A link counts as its target: the identity may be mounted from elsewhere.
            let metadata = match fs::metadata(state.join(&path)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if metadata.is_dir() {
                self.collect(state, &path)?;
            } else if metadata.is_file() {
                if is_database(&state.join(&path))? {
                    self.databases.push(path)
                } else {
                    self.others.push(path)
                }
            }
        }
        Ok(())
    }
}

fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_beside = BESIDE.iter().any(|end| {
        let database = name.strip_suffix(end);
        database.is_some_and(|database| database.ends_with(".db"))
    });
    is_beside || path == Path::new(LOCKS) || path == Path::new(CACHE)
}

fn is_database(path: &Path) -> io::Result<bool> {
    let mut begins = Vec::with_capacity(SQLITE.len());
    File::open(path)?
        .take(SQLITE.len() as u64)
        .read_to_end(&mut begins)?;
    Ok(begins == SQLITE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::{Durability, open_database};

    #[test]
    fn databases_are_recognized_by_their_content() {
        let state = tempfile::tempdir().expect("a folder");
        for folder in ["locks", "kube/mgmt"] {
            fs::create_dir_all(state.path().join(folder)).expect("made");
        }
        for file in ["locks/run", "identity.txt", "kube/mgmt/empty.db"] {
            fs::write(state.path().join(file), "").expect("written");
        }
        let names = ["journal.db", "inventory.db", "kube/mgmt/cluster.db"];
        let _open = names.map(|name| {
            let path = state.path().join(name);
            let database = open_database(&path, Durability::Process).expect("opened");
            database.execute_batch("CREATE TABLE t (n)").expect("made");
            database
        });
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let found = Contents::of(state.path()).expect("found");
        assert_eq!(
            found.databases,
            paths(&["journal.db", "kube/mgmt/cluster.db"])
        );
        assert_eq!(found.others, paths(&["identity.txt", "kube/mgmt/empty.db"]));
    }
}
