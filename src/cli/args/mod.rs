//! The command line: [`Args`] with its [`Command`]s, and what each takes, a file for each family.

mod certs;
mod check;
mod command;
mod desk;
mod drive;
mod keep;
mod logging;
mod look;
mod mcp;
mod new;
mod serve;
mod test;

pub use certs::{Certs, CertsCommand, CertsLook, Scan};
pub use check::{Definitions, Explain, Format, Graph, Iam, Plan, Rbac, Schema, Validate};
pub use command::{Args, Command};
pub use desk::{Login, Serve, Triggers, TriggersCommand};
pub use drive::{Answer, Cancel, Driving, MAX_PARALLEL, Params, Resume, Run, Undo};
pub use keep::{Backup, Prune, Restore};
pub use logging::Logging;
pub use look::{Audit, Compare, Logs, MeshTable, Outputs, Runs, Show, Since};
pub use mcp::Mcp;
pub use new::{New, NewPart, Shell, Template, Try};
#[cfg(feature = "restate")]
pub use serve::Worker;
pub use serve::{Http, HttpServe, Kube, KubeServe, Pca, PcaServe};
pub use test::{PlayTest, Test};
