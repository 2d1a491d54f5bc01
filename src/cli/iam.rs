use super::{Done, args::Iam, exit, load::load, print};
use crate::report::iam_policy;

/// `windlass iam FILE`.
pub fn iam(command: &Iam) -> Done {
    let program = load(&command.file)?;
    match iam_policy(&program.workflow, !command.without_undo) {
        Some(policy) => print(&format!("{policy:#}\n")),
        None => {
            say!("it asks nothing of AWS Private CA: no permission is needed");
            Ok(exit::SUCCEEDED)
        }
    }
}
