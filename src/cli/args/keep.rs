//! Commands that keep a state folder small and safe.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;

use crate::value::parse_duration;

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

#[derive(ClapArgs)]
pub struct Prune {
    /// How long a run is kept after its end, such as 90d [default: `keep` of [retention] in windlass.toml]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub keep: Option<Duration>,

    /// How many runs of each workflow on each target are kept however old they are [default: `keep_last` of [retention], or 0]
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,

    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    pub workflow: Option<String>,

    /// Also runs that failed or were cancelled; they can't be resumed afterwards
    #[arg(long)]
    pub failed: bool,

    /// Write the evidence of each run to this folder before the run is deleted, as `windlass audit --bundle` does
    #[arg(long, value_name = "DIR")]
    pub bundles: Option<PathBuf>,

    /// List the runs, and delete nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,

    /// Print the list of --dry-run as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}
