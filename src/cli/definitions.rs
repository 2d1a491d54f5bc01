use std::{fs, io};

use super::{Done, args::Definitions, exit, failure::Failure};
use crate::report::definitions as files;

/// `windlass definitions DIR`.
pub fn definitions(command: &Definitions) -> Done {
    let folder = &command.folder;
    let failed = |e: io::Error| {
        Failure::new(
            "system",
            format!("can't write to {}: {e}", folder.display()),
        )
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let files = files();
    for (name, text) in &files {
        fs::write(folder.join(name), text).map_err(failed)?;
    }
    say!(
        "{} definition files are in {}",
        files.len(),
        folder.display()
    );
    Ok(exit::SUCCEEDED)
}
