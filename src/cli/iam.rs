use super::{Done, args::Iam, exit, load::load, print};
use crate::report::{iam_policy, open_aws_calls};

/// `windlass iam FILE`.
pub fn iam(command: &Iam) -> Done {
    let program = load(&command.file)?;
    let params = command.params.checked(&program.workflow)?;
    let calls = program.workflow.known_calls(&params);
    if let open @ 1.. = open_aws_calls(&calls) {
        say!(
            "not in the policy: {open} of the calls of aws::request, whose service or operation is only known when they run"
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
            say!("it asks nothing of AWS: no permission is needed");
            Ok(exit::SUCCEEDED)
        }
    }
}
