//! Commands that keep a state folder small and safe.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;

use crate::value::parse_duration;

#[derive(ClapArgs)]
pub struct Backup {
    /// The file to write, which is replaced if it exists; `-` for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(ClapArgs)]
pub struct Restore {
    /// The file that `windlass backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Verify the backup without restoring it
    #[arg(long)]
    pub verify: bool,
}

#[derive(ClapArgs)]
pub struct Prune {
    /// How long a run is kept after its end, such as 90d [default: `keep` of [retention] in windlass.toml]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub keep: Option<Duration>,

    /// How many runs of each workflow on each target are kept regardless of their age [default: `keep_last` of
    /// [retention], or 0]
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,

    /// Delete only runs of this workflow
    #[arg(long, value_name = "NAME")]
    pub workflow: Option<String>,

    /// Also delete runs that failed or were cancelled, which could still be resumed
    #[arg(long)]
    pub failed: bool,

    /// Before a run is deleted, write its evidence to this folder, as `windlass audit --bundle` does
    #[arg(long, value_name = "DIR")]
    pub bundles: Option<PathBuf>,

    /// List the runs without deleting them
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Print the list of --dry-run as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}
