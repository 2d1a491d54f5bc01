//! Commands about a workflow that run nothing.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::drive::Params;
use crate::cli::complete;

#[derive(ClapArgs)]
pub struct Validate {
    /// The YAML files of the workflows, folders that hold some, or names of shipped workflows
    #[arg(required = true, value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub files: Vec<PathBuf>,

    /// Also check that the clusters of this target can be reached, and that they allow what the scripts call
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

    /// The target on which it would run
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: String,

    /// Print the steps, calls and costs as JSON
    #[arg(long)]
    pub json: bool,

    /// Do not check with dry runs on the clusters of the target whether they would refuse a step
    #[arg(long)]
    pub no_dry_run: bool,
}

#[derive(ClapArgs)]
pub struct Schema {
    /// Print the schema of a test file, `NAME.test.yaml`
    #[arg(long)]
    pub test: bool,
}

#[derive(ClapArgs)]
pub struct Graph {
    /// The workflow's YAML file, the name of a shipped workflow, or a run by any part of its id; the steps of a run are
    /// drawn with their states and times
    #[arg(value_name = "WORKFLOW|RUN", add = ArgValueCompleter::new(complete::workflows_and_runs))]
    pub file: PathBuf,

    /// The format [default: lanes on a terminal and for a run, text otherwise]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// A line for each step, with the steps that it depends on
    Text,
    /// A line for each step, with lanes to the steps that depend on it
    Lanes,
    /// An SVG picture
    Svg,
    /// A Mermaid diagram, for Markdown
    Mermaid,
    /// A graph for Graphviz
    Dot,
}

#[derive(ClapArgs)]
pub struct Iam {
    /// The workflow's YAML file, or the name of a shipped workflow, such as `gloo-mesh`
    #[arg(value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::workflows))]
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// Leave out permissions that only an undo needs
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

    /// Leave out permissions that only an undo needs
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
    /// The folder to write the files to
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
