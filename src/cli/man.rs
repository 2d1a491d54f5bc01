use std::{fs, path::Path};

use clap::{Command, CommandFactory};

use super::{Done, args::Args, exit, failure::Failure};

/// `windlass man DIR`: writes the manual pages, one for each command.
pub fn man(folder: &Path) -> Done {
    let written = fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(without_values(Args::command()), folder));
    written.map_err(|e| {
        let message = format!("can't write manual pages to {}: {e}", folder.display());
        Failure::new("system", message)
    })?;
    let page = folder.join("windlass.1");
    say!(
        "manual pages are in {}; to read one: man {}",
        folder.display(),
        page.display()
    );
    Ok(exit::SUCCEEDED)
}

/// Hides the values of environment variables of this process, which are not part of a manual.
pub(super) fn without_values(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let command = command.mut_args(|argument| argument.hide_env_values(true));
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, without_values)
    })
}
