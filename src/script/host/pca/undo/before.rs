//! Records the state before a call about a CA, and what the call leaves (`writes`), for its reversal.

use super::is_gone;
use windlass_world::{
    outside::{PcaClient, SignedCertificate},
    value::{Failure, FailureClass, Value},
};

pub async fn status(pca: PcaClient, ca: String) -> Result<Value, Failure> {
    let status = pca.describe(&ca).await?.status;
    Ok(Value::map([("ca", ca.into()), ("status", status.into())]))
}

pub async fn certificate(pca: PcaClient, ca: String, imported: String) -> Result<Value, Failure> {
    let known = signed(&pca, &ca).await?;
    let certificate = known.as_ref().map(|signed| signed.certificate.clone());
    Ok(Value::map([
        ("ca", ca.into()),
        ("certificate", certificate.into()),
        ("chain", known.and_then(|signed| signed.chain).into()),
        ("writes", imported.into()),
    ]))
}

/// Returns the certificate of a CA; `None` if it has none yet.
pub async fn signed(pca: &PcaClient, ca: &str) -> Result<Option<SignedCertificate>, Failure> {
    match pca.authority_certificate(ca).await {
        Ok(signed) => Ok(Some(signed)),
        Err(f) if f.class == FailureClass::Conflict || is_gone(&f) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `set` holds the tags that the call sets, `()` for one that it removes.
pub async fn tags(pca: PcaClient, ca: String, set: Value) -> Result<Value, Failure> {
    let keys = set.as_map().into_iter().flat_map(|map| map.keys().cloned());
    let tags = some_tags(&pca, &ca, keys.collect()).await?;
    Ok(Value::map([
        ("ca", ca.into()),
        ("tags", tags),
        ("writes", set),
    ]))
}

/// Returns the tags with these keys, `()` for one that does not exist.
pub async fn some_tags(pca: &PcaClient, ca: &str, keys: Vec<String>) -> Result<Value, Failure> {
    let found = pca.tags(ca).await?;
    let tags = keys.into_iter().map(|key| {
        let value = found.get(&key).cloned();
        (key, value.into())
    });
    Ok(Value::map(tags))
}

/// `given` holds the actions that the call grants; `None` if it takes the permission away.
pub async fn permission(
    pca: PcaClient,
    ca: String,
    (principal, source_account): (String, Option<String>),
    given: Option<Vec<String>>,
) -> Result<Value, Failure> {
    let had = actions(&pca, &ca, &principal, source_account.as_deref()).await?;
    Ok(Value::map([
        ("ca", ca.into()),
        ("principal", principal.into()),
        ("source_account", source_account.into()),
        ("actions", had),
        ("writes", given.map(sorted).into()),
    ]))
}

/// Returns the actions that a principal is granted, sorted; `()` if it has no permission.
pub async fn actions(
    pca: &PcaClient,
    ca: &str,
    principal: &str,
    source_account: Option<&str>,
) -> Result<Value, Failure> {
    let found = pca.permissions(ca).await?;
    let had = found
        .into_iter()
        .find(|permission| permission.is_of(ca, principal, source_account));
    Ok(had.map(|permission| sorted(permission.actions)).into())
}

fn sorted(mut actions: Vec<String>) -> Vec<String> {
    actions.sort();
    actions
}

/// `put` is the policy that the call sets; `None` if the call deletes it.
pub async fn policy(pca: PcaClient, ca: String, put: Option<String>) -> Result<Value, Failure> {
    let policy = policy_text(&pca, &ca).await?;
    Ok(Value::map([
        ("ca", ca.into()),
        ("policy", policy.into()),
        ("writes", put.into()),
    ]))
}

pub async fn policy_text(pca: &PcaClient, ca: &str) -> Result<Option<String>, Failure> {
    match pca.policy(ca).await {
        Ok(policy) => Ok(policy),
        Err(failure) if is_gone(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}
