use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::{
    compile::Workflow,
    outside::{actions_of, is_account_wide, undo_actions_of},
};

/// The least IAM policy that a workflow's scripts need, from the host functions that they call, and
/// `with_undo` their reversal. `None` where they ask nothing of AWS Private CA: AWS takes no empty one.
pub fn iam_policy(workflow: &Workflow, with_undo: bool) -> Option<Json> {
    let mut actions: BTreeSet<&str> = BTreeSet::new();
    for call in workflow.host_calls() {
        actions.extend(actions_of(&call.function));
        if with_undo {
            actions.extend(undo_actions_of(&call.function));
        }
    }
    if actions.is_empty() {
        return None;
    }
    let statement = |sid: &str, resource: &str, actions: Vec<String>| json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource });
    let (wide, narrow): (Vec<&str>, Vec<&str>) = actions
        .into_iter()
        .partition(|action| is_account_wide(action));
    let named = |actions: Vec<&str>| -> Vec<String> {
        actions
            .into_iter()
            .map(|action| format!("acm-pca:{action}"))
            .collect()
    };
    let any = "arn:aws:acm-pca:*:*:certificate-authority/*";
    let statements: Vec<Json> = [
        ("Account", "*", wide),
        ("CertificateAuthorities", any, narrow),
    ]
    .into_iter()
    .filter(|(_, _, actions)| !actions.is_empty())
    .map(|(sid, resource, actions)| statement(sid, resource, named(actions)))
    .collect();
    Some(json!({ "Version": "2012-10-17", "Statement": statements }))
}
