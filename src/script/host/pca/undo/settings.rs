//! Restores what others may do with a CA, and its tags.

use super::{CA_IS_DELETED, DELETED, Verdict, before, compared, text, way_back};
use crate::host::undo::{Reversal, Reversed};
use windlass_world::{
    outside::{PcaClient, Permission},
    value::Value,
};

/// `before` holds the old tags, and the tags that were set: a text, or `()` for a tag that does not exist.
pub(super) fn retag(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let Some(Value::Map(tags)) = before.field("tags").cloned() else {
        return Reversal::Nothing;
    };
    let left = before.field("writes").cloned();
    let keys: Vec<String> = tags.keys().cloned().collect();
    let was = Value::Map(tags.clone());
    Reversal::By(way_back(
        (
            format!("restore the tags of {ca}"),
            "pca::tag_certificate_authority",
        ),
        (pca, ca, "tags"),
        move |pca, ca| {
            let keys = keys.clone();
            async move { before::some_tags(&pca, &ca, keys).await }
        },
        move |status, now| match status {
            DELETED => Verdict::Already(CA_IS_DELETED),
            _ => compared(now, left.as_ref(), &was),
        },
        move |pca, ca, _| {
            let (were, were_not): (Vec<_>, Vec<_>) = tags
                .clone()
                .into_iter()
                .partition(|(_, value)| *value != Value::Null);
            async move {
                if !were.is_empty() {
                    let were = were.into_iter().map(|(k, v)| (k, v.to_text())).collect();
                    pca.tag(&ca, &were).await?;
                }
                if !were_not.is_empty() {
                    let keys: Vec<_> = were_not.into_iter().map(|(key, _)| key).collect();
                    pca.untag(&ca, &keys).await?;
                }
                Ok(Reversed::Done)
            }
        },
    ))
}

/// `before` holds the principal, its old permission, and the permission that was granted.
pub(super) fn permit(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let principal = text(before, "principal");
    let source_account = match before.field("source_account") {
        Some(Value::String(account)) => Some(account.clone()),
        _ => None,
    };
    let mut was = before.field("actions").cloned().unwrap_or_default();
    if let Value::List(actions) = &mut was {
        actions.sort_by_key(Value::to_text);
    }
    let left = before.field("writes").cloned();
    let actions = match &was {
        Value::List(actions) => Some(actions.iter().map(Value::to_text).collect::<Vec<_>>()),
        _ => None,
    };
    let what = match actions {
        Some(_) => format!("restore the permission of {principal} on {ca}"),
        None => format!("delete the permission of {principal} on {ca}"),
    };
    let part = format!("permission of {principal}");
    let whose = (principal.clone(), source_account.clone());
    Reversal::By(way_back(
        (what, "pca::permission"),
        (pca, ca, &part),
        move |pca, ca| {
            let (principal, account) = whose.clone();
            async move { before::actions(&pca, &ca, &principal, account.as_deref()).await }
        },
        move |status, now| match status {
            DELETED => Verdict::Already(CA_IS_DELETED),
            _ => compared(now, left.as_ref(), &was),
        },
        move |pca, ca, _| {
            let (principal, source_account) = (principal.clone(), source_account.clone());
            let actions = actions.clone();
            async move {
                match actions {
                    Some(actions) => {
                        let permission = Permission {
                            principal,
                            source_account,
                            actions,
                        };
                        pca.create_permission(&ca, &permission).await?;
                    }
                    None => {
                        pca.delete_permission(&ca, &principal, source_account)
                            .await?;
                    }
                }
                Ok(Reversed::Done)
            }
        },
    ))
}

pub(super) fn put_policy_back(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let policy = match before.field("policy") {
        Some(Value::String(policy)) => Some(policy.clone()),
        _ => None,
    };
    let was = policy.as_deref().map_or(Value::Null, canonical);
    let left = before.field("writes").map(|written| match written {
        Value::String(policy) => canonical(policy),
        other => other.clone(),
    });
    let what = match policy {
        Some(_) => format!("restore the earlier policy of {ca}"),
        None => format!("delete the policy of {ca}"),
    };
    Reversal::By(way_back(
        (what, "pca::policy"),
        (pca, ca, "policy"),
        |pca, ca| async move {
            let found = before::policy_text(&pca, &ca).await?;
            Ok(found.as_deref().map_or(Value::Null, canonical))
        },
        move |status, now| match status {
            DELETED => Verdict::Already(CA_IS_DELETED),
            _ => compared(now, left.as_ref(), &was),
        },
        move |pca, ca, _| {
            let policy = policy.clone();
            async move {
                match policy {
                    Some(policy) => pca.put_policy(&ca, &policy).await?,
                    None => pca.delete_policy(&ca).await?,
                }
                Ok(Reversed::Done)
            }
        },
    ))
}

/// Returns a policy in a form that can be compared: AWS may format its JSON differently.
pub(super) fn canonical(policy: &str) -> Value {
    match serde_json::from_str::<serde_json::Value>(policy) {
        Ok(json) => json.to_string().into(),
        Err(_) => policy.into(),
    }
}
