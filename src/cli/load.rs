use std::{
    env,
    path::{Path, PathBuf},
};

use super::{failure::Failure, shipped};
use crate::{
    compile::{Opened, Program, compile, open},
    journal::RunInfo,
    script::closest,
};

/// The place of the workflow that a user named.
pub enum Source {
    File(PathBuf),
    /// In this program, under a name.
    Shipped(String),
}

impl Source {
    /// Resolves `file`, relative to `folder`: that file, the file with `.yaml` added, or a shipped workflow.
    ///
    /// A user's own file takes precedence, so that a copy of a shipped workflow is run with its changes.
    pub fn of(file: &Path, folder: &Path) -> Self {
        let path = folder.join(file);
        if path.is_file() || file.extension().is_some() {
            return Self::File(path);
        }
        let yaml = path.with_extension("yaml");
        if yaml.is_file() {
            return Self::File(yaml);
        }
        match shipped::names().find(|name| file == Path::new(name)) {
            Some(name) => Self::Shipped(name.to_owned()),
            None => Self::File(path),
        }
    }

    /// Returns the source of a run's workflow, independent of the current folder.
    pub fn of_run(run: &RunInfo) -> Self {
        let folder = match env::current_dir() {
            // Shows the file under the name that the user gave.
            Ok(here) if here == Path::new(&run.folder) => Path::new(""),
            _ => Path::new(&run.folder),
        };
        Self::of(Path::new(&run.file), folder)
    }

    /// Returns the file, unless the workflow is embedded in this program.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Shipped(_) => None,
        }
    }

    pub fn compile(&self) -> Result<Program, Failure> {
        let file = match self {
            Self::File(file) => file,
            Self::Shipped(name) => return shipped::program(name),
        };
        let Opened { mut folder, main } = open(file).map_err(|why| {
            let message = format!("can't read {}: {why}", file.display());
            let failure = Failure::new("unreadable-file", message);
            match hint(file) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        Ok(compile(&main, &mut folder)?)
    }
}

/// Compiles the workflow that a user named.
pub fn load(file: &Path) -> Result<Program, Failure> {
    Source::of(file, Path::new("")).compile()
}

/// Suggests a shipped workflow for a file that does not exist.
fn hint(file: &Path) -> Option<String> {
    if file.exists() {
        return None;
    }
    let stem = file.file_stem()?.to_str()?;
    if let Some(near) = closest(stem, shipped::names()) {
        return Some(format!(
            "did you mean `{near}`? Windlass ships a workflow of that name, and `windlass new --from {near}` copies it"
        ));
    }
    // A file name without an extension was meant as a name.
    (file == Path::new(stem)).then(|| {
        let names: Vec<_> = shipped::names().collect();
        format!("the shipped workflows are {}", names.join(", "))
    })
}
