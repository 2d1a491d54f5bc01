//! PutPolicy, GetPolicy and DeletePolicy.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::rule::policy::Policy;
use crate::rule::status::Deed;
use crate::store::sharing;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    resource_arn: String,
    policy: Option<String>,
}

/// Shares an authority with other accounts.
pub(crate) fn put(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let document = input.policy.unwrap_or_default();
    let now = call.now;
    call.change(&input.resource_arn, move |connection, authority| {
        authority.check(Deed::Manage, now)?;
        Policy::read(&document, &authority.arn)?;
        sharing::put_policy(connection, &authority.arn, &document)
    })?;
    Ok(json!({}))
}

/// Returns the policy as it was put.
pub(crate) fn get(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let document = call.service.store.read(|connection| {
        let authority = call.authority(connection, &input.resource_arn)?;
        authority.check(Deed::Manage, call.now)?;
        sharing::policy(connection, &authority.arn)?.ok_or_else(|| none(&authority.arn))
    })?;
    Ok(json!({ "Policy": document }))
}

/// Stops sharing an authority.
pub(crate) fn delete(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let now = call.now;
    call.change(&input.resource_arn, move |connection, authority| {
        authority.check(Deed::Manage, now)?;
        if sharing::remove_policy(connection, &authority.arn)? {
            Ok(())
        } else {
            Err(none(&authority.arn))
        }
    })?;
    Ok(json!({}))
}

fn none(arn: &str) -> Failure {
    Code::ResourceNotFound.says(format!("Could not find a policy for {arn}"))
}
