//! Commands about a workflow that run nothing.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::drive::Params;
use crate::cli::complete;

#[derive(ClapArgs)]
pub struct Validate {
    /// The workflows' YAML files, folders of them, or names of shipped workflows
    #[arg(required = true, value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub files: Vec<PathBuf>,

    /// Also ask the clusters of this target whether they can be reached, and allow what is called
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: Option<String>,

    #[command(flatten)]
    pub params: Params,
}

#[derive(ClapArgs)]
pub struct Plan {
    /// The workflow's YAML file, or the name of a shipped workflow, such as `gloo-mesh`
    #[arg(value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// Where it would run
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: String,

    /// Print the steps, calls and costs as JSON
    #[arg(long)]
    pub json: bool,

    /// Do not read what is there, nor ask the clusters, by dry runs, whether they would refuse a step
    #[arg(long)]
    pub no_dry_run: bool,
}

#[derive(ClapArgs)]
pub struct Schema {
    /// That of a test file, `NAME.test.yaml`
    #[arg(long)]
    pub test: bool,
}

#[derive(ClapArgs)]
pub struct Graph {
    /// The workflow's YAML file, the name of a shipped workflow, or a run by any part of its id: then steps have their
    /// states and times
    #[arg(value_name = "WORKFLOW|RUN", add = ArgValueCompleter::new(complete::workflows_and_runs))]
    pub file: PathBuf,

    /// How to draw it [default: lanes at a terminal and for a run, else text]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// A line for each step with what it waits for
    Text,
    /// A line for each step, with lanes to the steps that wait for it
    Lanes,
    /// A picture
    Svg,
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
}

#[derive(ClapArgs)]
pub struct Iam {
    /// The workflow's YAML file, or the name of a shipped workflow, such as `gloo-mesh`
    #[arg(value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// Leave out what only an undo needs
    #[arg(long)]
    pub without_undo: bool,
}

#[derive(ClapArgs)]
pub struct Rbac {
    /// The workflow's YAML file, or the name of a shipped workflow, such as `gloo-mesh`
    #[arg(value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// Leave out what only an undo needs
    #[arg(long)]
    pub without_undo: bool,
}

#[derive(ClapArgs)]
pub struct Explain {
    /// An error code, a host function or module, or a key of the workflow file [default: list all topics]
    #[arg(add = ArgValueCompleter::new(complete::topics))]
    pub topic: Option<String>,
}

#[derive(ClapArgs)]
pub struct Definitions {
    /// Where the files are written
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
