use super::{Done, args::Iam, load::load, print};
use crate::report::iam_policy;

/// `windlass iam FILE`.
pub fn iam(command: &Iam) -> Done {
    let program = load(&command.file)?;
    print(&format!("{:#}\n", iam_policy(&program.workflow)))
}
