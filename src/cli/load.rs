use std::{
    env,
    path::{Path, PathBuf},
};

use super::failure::Failure;
use crate::{
    compile::{Folder, Program, compile},
    journal::RunInfo,
};

/// Compiles the workflow at a path.
pub fn load(file: &Path) -> Result<Program, Failure> {
    let unreadable = |why: &str| {
        Failure::new(
            "unreadable-file",
            format!("can't read {}: {why}", file.display()),
        )
    };
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| unreadable("it is not a file"))?;
    if !file.is_file() {
        let why = if file.exists() {
            "it is not a file"
        } else {
            "there is no such file"
        };
        return Err(unreadable(why));
    }
    let folder = file
        .parent()
        .filter(|folder| *folder != Path::new(""))
        .unwrap_or(Path::new("."));
    Ok(compile(name, &mut Folder::new(folder))?)
}

/// The file of a run's workflow, from whatever folder it is asked for.
pub fn workflow_file(run: &RunInfo) -> PathBuf {
    match env::current_dir() {
        // People know it by the name that they gave it.
        Ok(here) if here == Path::new(&run.folder) => PathBuf::from(&run.file),
        _ => Path::new(&run.folder).join(&run.file),
    }
}
