use super::{Done, args::Rbac, exit, load::load, print};
use crate::report::cluster_role;

/// `windlass rbac FILE`.
pub fn rbac(command: &Rbac) -> Done {
    let program = load(&command.file)?;
    let params = command.params.checked(&program.workflow)?;
    let calls = program.workflow.known_calls(&params);
    match cluster_role(&program.workflow.name, &calls, !command.without_undo) {
        Some(role) => print(&role),
        None => {
            say!("the workflow makes no calls to Kubernetes, so it needs no permissions");
            Ok(exit::SUCCEEDED)
        }
    }
}
