//! Commands that start, resume, cancel or undo a run.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use clap_complete::ArgValueCompleter;

use crate::{cli::complete, journal::InstanceId};

#[derive(ClapArgs)]
pub struct Run {
    /// The workflow's YAML file, or the name of a shipped workflow, such as `gloo-mesh`
    #[arg(value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// The target to run on: one of windlass.toml, or `local` for the embedded servers
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: String,

    /// The folder for files that scripts write
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// Do not check beforehand, with dry runs on the clusters of the target, whether they would refuse a step
    #[arg(long)]
    pub no_dry_run: bool,

    /// Run only this step, which must not read the outputs of other steps; can be given several times
    #[arg(long, value_name = "STEP", conflicts_with = "until", add = ArgValueCompleter::new(complete::steps))]
    pub only: Vec<String>,

    /// Run only this step and the steps that it depends on
    #[arg(long, value_name = "STEP", add = ArgValueCompleter::new(complete::steps))]
    pub until: Option<String>,

    /// Print the run's id and let another process drive it
    #[arg(long, conflicts_with = "json")]
    pub detach: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(Clone, ClapArgs)]
pub struct Params {
    /// Set a param. The value is YAML, or comes from a file (NAME=@FILE) or from stdin (NAME=@-); @FILE alone reads
    /// params from a file. Can be given several times
    #[arg(short, long = "param", value_name = "NAME=VALUE", add = ArgValueCompleter::new(complete::params))]
    pub params: Vec<String>,

    /// Read params from a YAML or JSON file, or from stdin (`-`). They override WINDLASS_PARAM_NAME in the environment,
    /// and -p overrides them
    #[arg(long = "params", value_name = "FILE")]
    pub params_file: Option<PathBuf>,
}

/// The default of `--max-parallel`.
pub const MAX_PARALLEL: u16 = 64;

#[derive(Clone, ClapArgs)]
pub struct Driving {
    /// The maximum number of steps that run at once
    #[arg(long, default_value_t = MAX_PARALLEL, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    /// Print the run as JSON on stdout when it has ended
    #[arg(long)]
    pub json: bool,

    /// Keep waiting while the run waits for an approval, instead of exiting with code 3
    #[arg(long)]
    pub wait: bool,

    /// Exit with code 3 if the run can only wait for a lock of another run for this long
    #[arg(long, value_name = "DURATION", value_parser = crate::value::parse_duration)]
    pub lock_timeout: Option<Duration>,
}

#[derive(ClapArgs)]
pub struct Resume {
    /// The run: its workflow, or at least 6 characters of its id [default: the newest that has neither succeeded nor been
    /// undone; with --edited or --redo, the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Continue with the files as they are now; shows first what that changes
    #[arg(long)]
    pub edited: bool,

    #[command(flatten)]
    pub params: Params,

    /// Run this step again from its start, and the steps that depend on it; shows them first. Can be given several times
    #[arg(long, value_name = "STEP", add = ArgValueCompleter::new(complete::steps))]
    pub redo: Vec<InstanceId>,

    /// Say whether a call in doubt was made: STEP=done, STEP=done:VALUE or STEP=again. Can be given several times
    #[arg(long = "answer", value_name = "ANSWER")]
    pub answers: Vec<String>,

    /// Only show what would happen to each step; with --json, as JSON
    #[arg(long)]
    pub plan: bool,

    /// The output folder, if it is no longer where it was when the run began; give it again with each command that continues the run
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Undo {
    /// The run, by at least 6 characters of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Say whether a call in doubt was made: STEP=done, STEP=done:VALUE or STEP=again; or leave what a step did as it is: STEP=leave. Can
    /// be given several times
    #[arg(long = "answer", value_name = "ANSWER")]
    pub answers: Vec<String>,

    /// Only show what would be reversed, and what can't be; with --json, as JSON
    #[arg(long)]
    pub plan: bool,

    /// Undo it although a newer run changed the same things: files, objects, tags and policies that
    /// differ stay; all other undos, such as those of HTTP calls and programs, are made all the same
    #[arg(long)]
    pub force: bool,

    /// The output folder, if it is no longer where it was when the run began; give it again with each command that continues the run
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Cancel {
    /// The run, by at least 6 characters of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::open_runs))]
    pub run: Option<String>,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Answer {
    /// The run, by at least 6 characters of its id; a workflow is its newest run
    #[arg(add = ArgValueCompleter::new(complete::waiting_runs))]
    pub run: String,

    /// The step that waits for the approval; several are answered together, or none of them
    #[arg(required = true, value_name = "STEP", add = ArgValueCompleter::new(complete::waiting_steps))]
    pub steps: Vec<InstanceId>,

    /// The reason, which is recorded in the journal
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
}
