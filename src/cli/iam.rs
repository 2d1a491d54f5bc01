use super::{Done, args::Iam, exit, load::load, print};
use crate::report::iam_policy;

/// `windlass iam FILE`.
pub fn iam(command: &Iam) -> Done {
    let program = load(&command.file)?;
    let params = command.params.checked(&program.workflow)?;
    let calls = program.workflow.known_calls(&params);
    match iam_policy(&calls, !command.without_undo) {
        Some(policy) => print(&format!("{policy:#}\n")),
        None => {
            say!("it asks nothing of AWS Private CA: no permission is needed");
            Ok(exit::SUCCEEDED)
        }
    }
}
