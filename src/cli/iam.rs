use super::{Done, args::Iam, exit, load::load, print};
use crate::report::{iam_policy, open_aws_calls};

/// `windlass iam FILE`.
pub fn iam(command: &Iam) -> Done {
    let program = load(&command.file)?;
    let params = command.params.checked(&program.workflow)?;
    let calls = program.workflow.known_calls(&params);
    if let open @ 1.. = open_aws_calls(&calls) {
        say!(
            "the policy does not cover {open} of the calls of aws::request: their service or operation is not known before the run"
        );
    }
    // A default may refer to a secret, too.
    let mut named = params;
    for (name, param) in &program.workflow.params {
        if let Some(default) = &param.default {
            named.entry(name.clone()).or_insert_with(|| default.clone());
        }
    }
    match iam_policy(&calls, &named, !command.without_undo) {
        Some(policy) => print(&format!("{policy:#}\n")),
        None => {
            say!("the workflow makes no calls to AWS, so it needs no permissions");
            Ok(exit::SUCCEEDED)
        }
    }
}
