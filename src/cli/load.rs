use std::path::Path;

use super::failure::Failure;
use crate::compile::{Opened, Program, compile, open};

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
