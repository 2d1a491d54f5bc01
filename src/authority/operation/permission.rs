//! CreatePermission, DeletePermission and ListPermissions.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::describe::timestamp;
use crate::operation::page;
use crate::rule::status::Deed;
use crate::store::sharing::{self, Permission};

/// The only principal that AWS accepts.
const PRINCIPAL: &str = "acm.amazonaws.com";

const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    principal: String,
    source_account: Option<String>,
    actions: Option<Vec<String>>,
}

/// Allows AWS Certificate Manager to renew certificates with an authority.
pub(crate) fn create(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    if input.principal != PRINCIPAL {
        return Err(Code::Validation.says(format!(
            "The principal {} is not supported: it must be {PRINCIPAL}",
            input.principal
        )));
    }
    let mut actions = input.actions.unwrap_or_default();
    actions.sort();
    actions.dedup();
    let (now, own) = (call.now, call.caller.account.clone());
    call.change(
        &input.certificate_authority_arn,
        move |connection, authority| {
            authority.check(Deed::Manage, now)?;
            let permission = Permission {
                principal: input.principal,
                source_account: input.source_account.unwrap_or(own),
                actions: json!(actions).to_string(),
                created_at: now,
            };
            if sharing::permit(connection, &authority.arn, &permission)? {
                return Ok(());
            }
            Err(Code::PermissionAlreadyExists.says(format!(
                "A permission for {} already exists on {}",
                permission.principal, authority.arn
            )))
        },
    )?;
    Ok(json!({}))
}

/// Deletes a permission.
pub(crate) fn delete(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let (now, own) = (call.now, call.caller.account.clone());
    call.change(
        &input.certificate_authority_arn,
        move |connection, authority| {
            authority.check(Deed::Manage, now)?;
            let account = input.source_account.unwrap_or(own);
            if sharing::forbid(connection, &authority.arn, &input.principal, &account)? {
                return Ok(());
            }
            Err(Code::ResourceNotFound.says(format!(
                "Could not find a permission for {} on {}",
                input.principal, authority.arn
            )))
        },
    )?;
    Ok(json!({}))
}

/// Lists the permissions, ordered by principal.
pub(crate) fn list(call: &Call) -> Result<Value, Failure> {
    let read = |connection: &Connection, arn: &str, after: &str, most| {
        let after = after.split_once(' ').unwrap_or_default();
        sharing::permissions(connection, arn, after, most)
    };
    let position = |one: &Permission| format!("{} {}", one.principal, one.source_account);
    page::of_authority(call, ("Permissions", MOST), read, position, shape)
}

fn shape(arn: &str, permission: Permission) -> Value {
    let actions: Value = serde_json::from_str(&permission.actions).unwrap_or_default();
    json!({
        "CertificateAuthorityArn": arn,
        "CreatedAt": timestamp(permission.created_at),
        "Principal": permission.principal,
        "SourceAccount": permission.source_account,
        "Actions": actions,
    })
}
