use std::{
    env,
    path::{Path, PathBuf},
};

use super::failure::Failure;
use crate::{
    compile::{Opened, Program, compile, open},
    journal::RunInfo,
};

/// Compiles the workflow at a path.
pub fn load(file: &Path) -> Result<Program, Failure> {
    let Opened { mut folder, main } = open(file).map_err(|why| {
        Failure::new(
            "unreadable-file",
            format!("can't read {}: {why}", file.display()),
        )
    })?;
    Ok(compile(&main, &mut folder)?)
}

/// The file of a run's workflow, from whatever folder it is asked for.
pub fn workflow_file(run: &RunInfo) -> PathBuf {
    match env::current_dir() {
        // People know it by the name that they gave it.
        Ok(here) if here == Path::new(&run.folder) => PathBuf::from(&run.file),
        _ => Path::new(&run.folder).join(&run.file),
    }
}
