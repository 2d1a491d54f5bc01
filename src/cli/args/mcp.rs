//! `windlass mcp`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::logging::Logging;
use crate::mcp::Permission;

#[derive(ClapArgs)]
pub struct Mcp {
    /// What the assistant may do beside looking; it never approves, answers or undoes
    #[arg(long, value_delimiter = ',', value_name = "start,resume")]
    pub allow: Vec<Permission>,

    /// A folder whose workflows it sees; can be given several times
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub workflows: Vec<PathBuf>,

    /// Where each run's folder for the files that its scripts write is made
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// How many steps of one run may run at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    #[command(flatten)]
    pub logging: Logging,
}
