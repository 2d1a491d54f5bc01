//! `windlass mcp`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::logging::Logging;
use crate::mcp::Permission;

#[derive(ClapArgs)]
pub struct Mcp {
    /// What the assistant may do besides reading; it can never approve, answer or undo
    #[arg(long, value_delimiter = ',', value_name = "start,resume")]
    pub allow: Vec<Permission>,

    /// A folder of workflows that the assistant may see; can be given several times
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub workflows: Vec<PathBuf>,

    /// The folder for files that scripts write; each run gets a subfolder of its own
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// The maximum number of steps of one run that run at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    #[command(flatten)]
    pub logging: Logging,
}
