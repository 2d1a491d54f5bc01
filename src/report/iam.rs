use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::{
    compile::Workflow,
    outside::{actions_of, is_account_wide},
};

/// The least IAM policy that a workflow's scripts need, from the host functions that they call.
pub fn iam_policy(workflow: &Workflow) -> Json {
    let actions: BTreeSet<&str> = workflow
        .host_calls()
        .iter()
        .flat_map(|call| actions_of(&call.function))
        .copied()
        .collect();
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
    json!({ "Version": "2012-10-17", "Statement": statements })
}
