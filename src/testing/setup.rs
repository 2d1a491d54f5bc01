//! Prepares the embedded servers for a test, as the runs in its `before` leave them.
//!
//! Tests with the same `before` share it: its runs are played once, and each test gets a copy of the servers' folders.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

use tempfile::TempDir;

use super::{judge::Problem, play::STATE};
use crate::{disk, value::Value};
use windlass_ground::lock;

/// The folders of the embedded servers within the state folder.
const SERVERS: [&str; 2] = ["pca", "kube"];
/// The file with the outputs of the runs before the test, within a test's folder.
const OUTPUTS: &str = "before.json";

/// The folders that runs before tests have left.
#[derive(Debug, Default)]
pub struct Setups(Mutex<HashMap<String, Arc<OnceLock<Made>>>>);

type Made = Result<Arc<TempDir>, Problem>;

impl Setups {
    /// Returns the setup with a name, or creates it; other callers wait meanwhile.
    pub fn find(&self, name: &str, make: impl FnOnce() -> Result<TempDir, Problem>) -> Made {
        let mut all = lock(&self.0);
        let made = all.entry(name.to_owned()).or_default().clone();
        drop(all);
        made.get_or_init(|| make().map(Arc::new)).clone()
    }
}

/// Copies the servers of one test's folder to another, with the outputs of the runs before.
///
/// # Errors
/// A folder that can't be read or written to.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for server in SERVERS {
        copy_folder(&from.join(STATE).join(server), &to.join(STATE).join(server))?;
    }
    let outputs = outputs(from)?;
    keep(to, &outputs)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        match () {
            () if kind.is_dir() => copy_folder(&path, &copy)?,
            () if kind.is_file() => fs::copy(&path, &copy).map(|_| ())?,
            // This is a socket of a process that has ended.
            () => {}
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Adds the outputs of a run before a test to those in its folder.
pub fn add_outputs(folder: &Path, outputs: &Value) -> io::Result<()> {
    let mut all = self::outputs(folder)?;
    all.extend(outputs.as_map().cloned().unwrap_or_default());
    keep(folder, &all)
}

/// Returns the outputs of the runs before the test in a folder.
pub fn outputs(folder: &Path) -> io::Result<BTreeMap<String, Value>> {
    let Some(text) = disk::read_if_there(&path_in(folder))? else {
        return Ok(BTreeMap::new());
    };
    let value = Value::parse_json(&text).map_err(io::Error::other)?;
    Ok(value.as_map().cloned().unwrap_or_default())
}

fn keep(folder: &Path, outputs: &BTreeMap<String, Value>) -> io::Result<()> {
    let outputs = Value::Map(outputs.clone()).to_json();
    fs::write(path_in(folder), outputs.to_string())
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join(OUTPUTS)
}
