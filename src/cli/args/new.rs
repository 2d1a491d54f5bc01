//! `windlass new` and `windlass try`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::drive::{Driving, Params};
use crate::cli::complete;

#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct New {
    #[command(subcommand)]
    pub part: Option<NewPart>,

    /// The name of the workflow and its files [default with --from: the name of the shipped workflow]
    #[arg(required_unless_present = "from")]
    pub name: Option<String>,

    /// The template to start from
    #[arg(long, value_enum, default_value_t, conflicts_with = "from")]
    pub template: Template,

    /// Copy this shipped workflow, such as `gloo-mesh`, with its scripts and tests
    #[arg(long, value_name = "WORKFLOW", add = ArgValueCompleter::new(complete::shipped))]
    pub from: Option<String>,
}

/// A part of a workflow that `windlass new` writes.
#[derive(Subcommand)]
pub enum NewPart {
    /// Write the script of a new step and its test
    Step {
        /// The name of the step and its files in `steps/`
        name: String,
    },
}

/// What a new workflow begins as.
#[derive(Clone, Copy, Default, ValueEnum)]
pub enum Template {
    /// One step that writes a file
    #[default]
    Plain,
    /// Sets a new secret, verifies that it works, and restores the old one if it does not
    Rotation,
    /// Changes hosts one after another, and stops at the first that is unhealthy
    RollingChange,
    /// Asks for an approval before it does something
    Approval,
    /// Creates something through an API, and waits until it exists
    Api,
}

impl Template {
    /// Its folder in `templates/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rotation => "rotation",
            Self::RollingChange => "rolling-change",
            Self::Approval => "approval",
            Self::Api => "api",
        }
    }
}

#[derive(ClapArgs)]
pub struct Shell {
    /// The target to run on: one of windlass.toml, or `local` for the embedded servers
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: String,

    /// The folder for files that are written
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// Print values as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Try {
    /// The script
    #[arg(value_name = "SCRIPT", value_hint = clap::ValueHint::FilePath)]
    pub script: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// The target to run on: one of windlass.toml, or `local` for the embedded servers
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME", add = ArgValueCompleter::new(complete::targets))]
    pub target: String,

    /// The folder for files that the script writes
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    #[command(flatten)]
    pub driving: Driving,
}
