//! Records the state before a call about a CA, and what the call leaves (`writes`), for its reversal.

use super::{DELETED, is_gone, pem, settings::canonical};
use windlass_world::{
    outside::{PcaClient, SignedCertificate},
    value::{Failure, FailureClass, Value},
};

/// Says whether the state before the repetition of a call in doubt replaces the state before the call: it is neither that state nor
/// what the call leaves, so others have changed it since.
pub fn replaces(function: &str, first: &Value, again: &Value) -> bool {
    let status = again.field("status").and_then(Value::as_str);
    let is_left = match (function, status) {
        ("pca::disable_certificate_authority", Some(status)) => status == "DISABLED",
        ("pca::enable_certificate_authority", Some(status)) => status == "ACTIVE",
        ("pca::delete_certificate_authority", Some(status)) => status == DELETED,
        ("pca::restore_certificate_authority", Some(status)) => status != DELETED,
        _ => {
            let parts = ["tags", "actions", "policy", "certificate"];
            let now = parts.into_iter().find_map(|part| again.field(part));
            match (now, first.field("writes")) {
                (Some(now), Some(left)) => comparable(now) == comparable(left),
                // Earlier versions did not record what the call leaves.
                _ => true,
            }
        }
    };
    !is_left && first != again
}

/// Returns a state in a form that can be compared, whatever format AWS gives to PEM and policies.
fn comparable(state: &Value) -> Value {
    match state {
        Value::String(text) if text.contains("-----BEGIN") => pem(text),
        Value::String(text) => canonical(text),
        other => other.clone(),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_changed_since_is_told_from_what_the_call_left() {
        let status = |status: &str| Value::map([("status", status.into())]);
        let disable = "pca::disable_certificate_authority";
        assert!(!replaces(disable, &status("ACTIVE"), &status("ACTIVE")));
        assert!(!replaces(disable, &status("ACTIVE"), &status("DISABLED")));
        assert!(replaces(disable, &status("DISABLED"), &status("ACTIVE")));
        let restore = "pca::restore_certificate_authority";
        assert!(!replaces(restore, &status(DELETED), &status("ACTIVE")));
        let policy =
            |now: &str| Value::map([("policy", now.into()), ("writes", "{\"a\": 1}".into())]);
        let put = "pca::put_policy";
        assert!(!replaces(put, &policy("{}"), &policy("{\"a\":1}")));
        assert!(replaces(put, &policy("{}"), &policy("{\"b\":1}")));
    }
}
