//! Commands that keep a state folder small and safe.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub struct Backup {
    /// The file, which is replaced if it is there; `-` for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(ClapArgs)]
pub struct Restore {
    /// The backup, as `windlass backup` wrote it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Check the backup, and restore nothing
    #[arg(long)]
    pub verify: bool,
}
