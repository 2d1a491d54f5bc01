use super::{Done, args::Iam, exit, load::load, print};
use crate::report::{OpenCalls, iam_policy, json_text};

/// `windlass iam FILE`.
pub fn iam(command: &Iam) -> Done {
    let program = load(&command.file)?;
    let params = command.params.checked(&program.workflow)?;
    let calls = program.workflow.known_calls(&params);
    let open = OpenCalls::of(&calls, !command.without_undo);
    say_open(open);
    // A default may refer to a secret, too.
    let mut named = params;
    for (name, param) in &program.workflow.params {
        if let Some(default) = &param.default {
            named.entry(name.clone()).or_insert_with(|| default.clone());
        }
    }
    match iam_policy(&calls, &named, !command.without_undo) {
        Some(policy) => print(&json_text(&policy)),
        None if !open.is_empty() => {
            say!("the workflow makes no other calls to AWS");
            Ok(exit::SUCCEEDED)
        }
        None => {
            say!("the workflow makes no calls to AWS, so it needs no permissions");
            Ok(exit::SUCCEEDED)
        }
    }
}

/// Says which calls a policy does not cover.
fn say_open(open: OpenCalls) {
    if let requests @ 1.. = open.requests {
        say!(
            "the policy does not cover {requests} of the calls of aws::request: their service or operation is not known before the run"
        );
    }
    if let undos @ 1.. = open.undos {
        say!(
            "the policy does not cover the reversal of {undos} of the calls of aws::request: their `undo` is not known before the run"
        );
    }
    if let secrets @ 1.. = open.secrets {
        say!(
            "the policy does not cover {secrets} of the calls of secret::read: where they read is not known before the run"
        );
    }
}
