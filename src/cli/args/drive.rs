//! Commands that begin a run, go on with one, or take one back.

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

    /// Where to run: a target of windlass.toml, or the embedded servers
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: String,

    /// Where the files that scripts write go
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// Do not ask the target's clusters beforehand, by dry runs, whether they would refuse a step
    #[arg(long)]
    pub no_dry_run: bool,

    /// Run this step alone, which reads no other one's outputs; may be given several times
    #[arg(long, value_name = "STEP", conflicts_with = "until", add = ArgValueCompleter::new(complete::steps))]
    pub only: Vec<String>,

    /// Run this step and all that it depends on, and nothing else
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
    /// Set a param; the value is YAML, or comes from a file (NAME=@FILE) or from stdin (NAME=@-); @FILE alone is a file
    /// of params
    #[arg(short, long = "param", value_name = "NAME=VALUE", add = ArgValueCompleter::new(complete::params))]
    pub params: Vec<String>,

    /// Read params from a YAML or JSON file, or from stdin: `-`; -p goes before it, and it before
    /// WINDLASS_PARAM_NAME in the environment
    #[arg(long = "params", value_name = "FILE")]
    pub params_file: Option<PathBuf>,
}

/// How many steps run at once unless somebody says so.
pub const MAX_PARALLEL: u16 = 64;

#[derive(Clone, ClapArgs)]
pub struct Driving {
    /// How many steps may run at once
    #[arg(long, default_value_t = MAX_PARALLEL, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    /// Print the run as JSON on stdout when it has ended; with --plan, the plan
    #[arg(long)]
    pub json: bool,

    /// Stay while the run waits for an approval, rather than end with exit code 3
    #[arg(long)]
    pub wait: bool,

    /// Give up after this long if a lock that another run holds is all there is to wait for (exit code 3)
    #[arg(long, value_name = "DURATION", value_parser = crate::value::parse_duration)]
    pub lock_timeout: Option<Duration>,
}

#[derive(ClapArgs)]
pub struct Resume {
    /// The run, by any part of its id [default: the newest that has neither succeeded nor been undone; with
    /// --edited or --redo, the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Go on with the files as they are now; shows first what that changes
    #[arg(long)]
    pub edited: bool,

    #[command(flatten)]
    pub params: Params,

    /// Run this step again from the start, and all that depends on it; shows first what that is
    #[arg(long, value_name = "STEP", add = ArgValueCompleter::new(complete::steps))]
    pub redo: Vec<InstanceId>,

    /// Say what became of a call that is in doubt: STEP=done, STEP=done:VALUE or STEP=again
    #[arg(long = "answer", value_name = "ANSWER")]
    pub answers: Vec<String>,

    /// Only show what would happen to each step
    #[arg(long)]
    pub plan: bool,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Undo {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    /// Say what became of a call that is in doubt: STEP=done, STEP=done:VALUE or STEP=again
    #[arg(long = "answer", value_name = "ANSWER")]
    pub answers: Vec<String>,

    /// Only show what would be reversed, and what can't be
    #[arg(long)]
    pub plan: bool,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Cancel {
    /// The run, by any part of its id; a workflow is its newest run [default: the newest]
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: Option<String>,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Answer {
    /// The run, by any part of its id
    #[arg(add = ArgValueCompleter::new(complete::runs))]
    pub run: String,

    /// The step that waits; several are answered together, or none of them
    #[arg(required = true, value_name = "STEP", add = ArgValueCompleter::new(complete::steps))]
    pub steps: Vec<InstanceId>,

    /// Why; it is kept in the journal
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
}
