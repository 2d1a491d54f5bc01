use super::{Done, args::Rbac, load::load, print};
use crate::report::cluster_role;

/// `windlass rbac FILE`.
pub fn rbac(command: &Rbac) -> Done {
    let program = load(&command.file)?;
    print(&cluster_role(&program.workflow))
}
