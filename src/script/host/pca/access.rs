//! Controls who may use a CA, and creates reports of what it did.

use rhai::{Dynamic, Map, NativeCallContext};

use super::{
    super::{Thrown, arguments::Arguments},
    call, record, reversible,
    undo::before,
};
use crate::dynamic::to_dynamic;
use windlass_world::{
    outside::{AuditReport, Permission},
    value::Value,
};

/// Implements `pca::create_audit_report(ca, #{ bucket, format: "JSON" })`: returns the report's id, see
/// `pca::wait_until_audit_report`.
pub fn create_audit_report(
    context: NativeCallContext,
    ca: &str,
    map: Map,
) -> Result<String, Thrown> {
    const FUNCTION: &str = "pca::create_audit_report";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = record(ca, arguments.to_value());
    let bucket = arguments.text("bucket")?;
    let format = arguments.text("format")?;
    arguments.finish()?;
    let arn = ca.to_owned();
    // A repeated request creates a second file with the same report, which does no harm.
    let id = call(&context, FUNCTION, record, |pca| async move {
        pca.create_audit_report(&arn, &bucket, &format)
            .await
            .map(Value::String)
    })?;
    Ok(id.to_text())
}

pub fn audit_report(context: &NativeCallContext, ca: &str, id: &str) -> Result<Value, Thrown> {
    let (arn, report) = (ca.to_owned(), id.to_owned());
    let function = "pca::describe_audit_report";
    call(context, function, id.into(), |pca| async move {
        pca.audit_report(&arn, &report).await.map(report_value)
    })
}

pub(super) fn report_value(report: AuditReport) -> Value {
    Value::map([
        ("bucket", report.bucket.into()),
        ("key", report.key.into()),
        ("status", report.status.into()),
    ])
}

/// Returns `#{ bucket, key, status }`.
pub fn describe_audit_report(
    context: NativeCallContext,
    ca: &str,
    id: &str,
) -> Result<Dynamic, Thrown> {
    audit_report(&context, ca, id).map(|value| to_dynamic(&value))
}

/// Implements `pca::create_permission(ca, #{ principal, actions, source_account })`.
pub fn create_permission(context: NativeCallContext, ca: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::create_permission";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = record(ca, arguments.to_value());
    let permission = Permission {
        principal: arguments.text("principal")?,
        source_account: arguments.optional_text("source_account")?,
        actions: arguments.texts("actions")?,
    };
    arguments.finish()?;
    let (arn, looked_at) = (ca.to_owned(), ca.to_owned());
    let whose = (
        permission.principal.clone(),
        permission.source_account.clone(),
    );
    let given = Some(permission.actions.clone());
    reversible(
        &context,
        FUNCTION,
        record,
        |pca| before::permission(pca, looked_at, whose, given),
        |pca| async move { pca.create_permission(&arn, &permission).await },
    )
}

/// Implements `pca::delete_permission(ca, #{ principal, source_account })`.
pub fn delete_permission(context: NativeCallContext, ca: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::delete_permission";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = record(ca, arguments.to_value());
    let principal = arguments.text("principal")?;
    let source_account = arguments.optional_text("source_account")?;
    arguments.finish()?;
    let (arn, looked_at) = (ca.to_owned(), ca.to_owned());
    let whose = (principal.clone(), source_account.clone());
    reversible(
        &context,
        FUNCTION,
        record,
        |pca| before::permission(pca, looked_at, whose, None),
        |pca| async move {
            pca.delete_permission(&arn, &principal, source_account)
                .await
        },
    )
}

/// Returns a list of `#{ principal, source_account, actions }`.
pub fn list_permissions(context: NativeCallContext, ca: &str) -> Result<Dynamic, Thrown> {
    let arn = ca.to_owned();
    let function = "pca::list_permissions";
    let found = call(&context, function, ca.into(), |pca| async move {
        let found = pca.permissions(&arn).await?;
        let value = |p: Permission| {
            Value::map([
                ("principal", p.principal.into()),
                ("source_account", p.source_account.into()),
                ("actions", p.actions.into()),
            ])
        };
        Ok(Value::List(found.into_iter().map(value).collect()))
    })?;
    Ok(to_dynamic(&found))
}

/// Implements `pca::put_policy(ca, json)`.
pub fn put_policy(context: NativeCallContext, ca: &str, policy: &str) -> Result<(), Thrown> {
    let (arn, looked_at, text) = (ca.to_owned(), ca.to_owned(), policy.to_owned());
    let record = record(ca, Value::map([("policy", policy.into())]));
    let put = Some(policy.to_owned());
    reversible(
        &context,
        "pca::put_policy",
        record,
        |pca| before::policy(pca, looked_at, put),
        |pca| async move { pca.put_policy(&arn, &text).await },
    )
}

/// Returns the CA's resource policy as JSON text.
pub fn get_policy(context: NativeCallContext, ca: &str) -> Result<Dynamic, Thrown> {
    let arn = ca.to_owned();
    let policy = call(&context, "pca::get_policy", ca.into(), |pca| async move {
        pca.policy(&arn).await.map(Value::from)
    })?;
    Ok(to_dynamic(&policy))
}

pub fn delete_policy(context: NativeCallContext, ca: &str) -> Result<(), Thrown> {
    let (arn, looked_at) = (ca.to_owned(), ca.to_owned());
    reversible(
        &context,
        "pca::delete_policy",
        ca.into(),
        |pca| before::policy(pca, looked_at, None),
        |pca| async move { pca.delete_policy(&arn).await },
    )
}
