//! What reverses a call to AWS Private CA.

use super::{
    super::undo::{Done, Finding, Reversal},
    certificate,
};
use crate::{
    outside::{Issue, PcaClient, Permission, SignedCertificate},
    script::effects::{Call, Class, EffectKey},
    value::{Failure, FailureClass, Value},
};

/// The longest that AWS allows, so that an undo can be regretted.
const RESTORE_WITHIN_DAYS: i32 = 30;
/// AWS's word for a certificate that an undo makes void.
const REASON: &str = "CESSATION_OF_OPERATION";

/// Only a CA and a certificate are reversed by their ARN, which is their call's result.
pub fn finding(function: &str, before: &Value, pca: &PcaClient) -> Finding {
    let pca = pca.clone();
    match function {
        "create_certificate_authority" => Finding::By(Box::new(|key| {
            Box::pin(async move { Ok(pca.find_by_key(key.as_str()).await?.map(Value::String)) })
        })),
        "issue_certificate" => match certificate::recorded(before) {
            Some(issue) => Finding::By(Box::new(|key| Box::pin(issued(pca, issue, key)))),
            None => Finding::Impossible,
        },
        _ => Finding::NotNeeded,
    }
}

/// Asks for a certificate once more under its key: AWS has no other way to look for one.
async fn issued(pca: PcaClient, issue: Issue, key: EffectKey) -> Result<Option<Value>, Failure> {
    let failure = match pca.issue(&issue, key.as_str()).await {
        Ok(arn) => return Ok(Some(arn.into())),
        Err(failure) => failure,
    };
    match status(&pca, &issue.authority).await?.as_str() {
        "ACTIVE" | "DISABLED" | "EXPIRED" => Err(failure),
        // Without its CA nobody trusts it.
        _ => Ok(None),
    }
}

pub fn reversal(function: &str, done: Done, pca: &PcaClient) -> Reversal {
    let pca = pca.clone();
    let ca = text(done.before, "ca");
    let arn = done.result.map(Value::to_text);
    match (function, arn) {
        ("create_certificate_authority", Some(arn)) => remove(pca, arn),
        // AWS refuses to revoke it: it goes with its CA.
        ("issue_certificate", Some(_)) if is_self_signed(done.before) => Reversal::Nothing,
        ("issue_certificate", Some(arn)) => revoke(pca, ca, arn),
        ("create_certificate_authority" | "issue_certificate", None) => {
            Reversal::never("its ARN is not known")
        }
        (function, _) => from_before(function, done, pca, ca),
    }
}

/// What is reversed by what was there before, however the call ended: each looks at the CA first.
fn from_before(function: &str, done: Done, pca: PcaClient, ca: String) -> Reversal {
    match function {
        "import_certificate_authority_certificate" => import_back(pca, ca, done.before),
        "disable_certificate_authority" => set_enabled(pca, ca, done.before, true),
        "enable_certificate_authority" => set_enabled(pca, ca, done.before, false),
        "delete_certificate_authority" => restore(pca, ca),
        "restore_certificate_authority" => remove(pca, ca),
        "tag_certificate_authority" | "untag_certificate_authority" => retag(pca, ca, done.before),
        "create_permission" | "delete_permission" => permit(pca, ca, done.before),
        "put_policy" | "delete_policy" => put_policy_back(pca, ca, done.before),
        "revoke_certificate" => Reversal::never("a revoked certificate stays revoked"),
        "create_audit_report" => Reversal::never("the audit report stays in its bucket"),
        _ => Reversal::Nothing,
    }
}

/// Whether a certificate was issued by the template for roots, which takes only the CA's own request.
fn is_self_signed(before: &Value) -> bool {
    let template = certificate::recorded(before).and_then(|issue| issue.template);
    template.is_some_and(|template| {
        let name = template
            .rsplit_once("template/")
            .map_or(&*template, |(_, name)| name);
        name.starts_with("RootCACertificate")
    })
}

fn text(value: &Value, key: &str) -> String {
    value.field(key).map_or_else(String::new, Value::to_text)
}

fn by<F>(
    what: String,
    function: &'static str,
    about: &str,
    act: impl FnOnce() -> F + Send + 'static,
) -> Reversal
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let call = Call::new(function, Class::Keyed, about.into(), move |_| act());
    Reversal::By { what, call }
}

fn is_gone(failure: &Failure) -> bool {
    failure.code == "ResourceNotFoundException"
}

/// The status of a CA; `DELETED` also where AWS has forgotten it.
async fn status(pca: &PcaClient, ca: &str) -> Result<String, Failure> {
    match pca.describe(ca).await {
        Ok(found) => Ok(found.status),
        Err(failure) if is_gone(&failure) => Ok("DELETED".into()),
        Err(failure) => Err(failure),
    }
}

fn remove(pca: PcaClient, ca: String) -> Reversal {
    let what = format!("disable and delete {ca} (restorable for {RESTORE_WITHIN_DAYS} days)");
    by(
        what,
        "pca::delete_certificate_authority",
        &ca.clone(),
        move || async move {
            match status(&pca, &ca).await?.as_str() {
                "DELETED" => return Ok(Value::Null),
                "ACTIVE" => pca.set_enabled(&ca, false).await?,
                _ => {}
            }
            pca.delete(&ca, RESTORE_WITHIN_DAYS)
                .await
                .map(|()| Value::Null)
        },
    )
}

fn restore(pca: PcaClient, ca: String) -> Reversal {
    by(
        format!("restore {ca}"),
        "pca::restore_certificate_authority",
        &ca.clone(),
        move || async move {
            match status(&pca, &ca).await?.as_str() {
                "DELETED" => pca.restore(&ca).await.map(|()| Value::Null),
                _ => Ok(Value::Null),
            }
        },
    )
}

fn revoke(pca: PcaClient, ca: String, certificate: String) -> Reversal {
    // The last part of a certificate's ARN is its serial number in hex.
    let serial = certificate
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    by(
        format!("revoke certificate {serial}"),
        "pca::revoke_certificate",
        &certificate.clone(),
        move || async move {
            let failure = match pca.revoke(&ca, &serial, REASON).await {
                Ok(()) => return Ok(Value::Null),
                Err(failure) => failure,
            };
            let already = |what: &str| Ok(Value::from(what));
            match failure.code.as_str() {
                "RequestAlreadyProcessedException" => already("was revoked before"),
                _ if is_gone(&failure) => already("its CA is gone"),
                "InvalidRequestException" if failure.message.contains("elf-signed") => {
                    already("self-signed: it goes with its CA")
                }
                // Until a CA has a certificate there is nothing below it that anyone trusts.
                "InvalidStateException" => match status(&pca, &ca).await?.as_str() {
                    "ACTIVE" | "DISABLED" => Err(failure),
                    _ => already("its CA has no certificate"),
                },
                _ => match pca.certificate(&ca, &certificate).await {
                    Err(of_issue) if of_issue.code == "RequestFailedException" => {
                        already("was never issued")
                    }
                    Err(of_issue) if of_issue.class == FailureClass::Conflict => Err(of_issue),
                    _ => Err(failure),
                },
            }
        },
    )
}

fn import_back(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let signed = before
        .field("certificate")
        .filter(|v| **v != Value::Null)
        .map(|certificate| SignedCertificate {
            certificate: certificate.to_text(),
            chain: before
                .field("chain")
                .filter(|v| **v != Value::Null)
                .map(Value::to_text),
        });
    match signed {
        Some(signed) => by(
            format!("import the earlier certificate of {ca}"),
            "pca::import_certificate_authority_certificate",
            &ca.clone(),
            move || async move {
                match status(&pca, &ca).await?.as_str() {
                    "DELETED" => Ok(Value::Null),
                    _ => pca.import(&ca, &signed).await.map(|()| Value::Null),
                }
            },
        ),
        None => by(
            format!("disable {ca} (AWS takes back no certificate)"),
            "pca::disable_certificate_authority",
            &ca.clone(),
            move || async move {
                match status(&pca, &ca).await?.as_str() {
                    "ACTIVE" => pca.set_enabled(&ca, false).await.map(|()| Value::Null),
                    _ => Ok(Value::Null),
                }
            },
        ),
    }
}

fn set_enabled(pca: PcaClient, ca: String, before: &Value, is_enabled: bool) -> Reversal {
    let (wanted, what) = match is_enabled {
        true => ("ACTIVE", format!("enable {ca}")),
        false => ("DISABLED", format!("disable {ca}")),
    };
    if text(before, "status") != wanted {
        return Reversal::Nothing;
    }
    by(
        what,
        "pca::update_certificate_authority",
        &ca.clone(),
        move || async move {
            match status(&pca, &ca).await?.as_str() {
                found @ ("ACTIVE" | "DISABLED") if found != wanted => {
                    pca.set_enabled(&ca, is_enabled).await.map(|()| Value::Null)
                }
                _ => Ok(Value::Null),
            }
        },
    )
}

/// `before` holds the tags as they were: a text, or nothing for one that was not there.
fn retag(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let Some(Value::Map(tags)) = before.field("tags").cloned() else {
        return Reversal::Nothing;
    };
    by(
        format!("put back the tags of {ca}"),
        "pca::tag_certificate_authority",
        &ca.clone(),
        move || async move {
            if status(&pca, &ca).await? == "DELETED" {
                return Ok(Value::Null);
            }
            let (were, were_not): (Vec<_>, Vec<_>) =
                tags.into_iter().partition(|(_, v)| *v != Value::Null);
            if !were.is_empty() {
                let were = were.into_iter().map(|(k, v)| (k, v.to_text())).collect();
                pca.tag(&ca, &were).await?;
            }
            if !were_not.is_empty() {
                let keys: Vec<_> = were_not.into_iter().map(|(k, _)| k).collect();
                pca.untag(&ca, &keys).await?;
            }
            Ok(Value::Null)
        },
    )
}

/// `before` holds the principal, and the permission that it had, if it had one.
fn permit(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let principal = text(before, "principal");
    let optional = |key: &str| match before.field(key) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let source_account = optional("source_account");
    let actions = match before.field("actions") {
        Some(Value::List(actions)) => Some(actions.iter().map(Value::to_text).collect()),
        _ => None,
    };
    let what = match actions {
        Some(_) => format!("give {principal} its permission on {ca} back"),
        None => format!("delete the permission of {principal} on {ca}"),
    };
    by(what, "pca::permission", &ca.clone(), move || async move {
        if status(&pca, &ca).await? == "DELETED" {
            return Ok(Value::Null);
        }
        let outcome = match actions {
            Some(actions) => {
                let permission = Permission {
                    principal,
                    source_account,
                    actions,
                };
                pca.create_permission(&ca, &permission).await
            }
            None => pca.delete_permission(&ca, &principal, source_account).await,
        };
        match outcome {
            Err(failure)
                if failure.code == "PermissionAlreadyExistsException" || is_gone(&failure) =>
            {
                Ok(Value::Null)
            }
            other => other.map(|()| Value::Null),
        }
    })
}

fn put_policy_back(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let policy = match before.field("policy") {
        Some(Value::String(policy)) => Some(policy.clone()),
        _ => None,
    };
    let what = match policy {
        Some(_) => format!("put the earlier policy of {ca} back"),
        None => format!("delete the policy of {ca}"),
    };
    by(what, "pca::policy", &ca.clone(), move || async move {
        if status(&pca, &ca).await? == "DELETED" {
            return Ok(Value::Null);
        }
        let outcome = match policy {
            Some(policy) => pca.put_policy(&ca, &policy).await,
            None => pca.delete_policy(&ca).await,
        };
        match outcome {
            Err(failure) if is_gone(&failure) => Ok(Value::Null),
            other => other.map(|()| Value::Null),
        }
    })
}

/// What was there before a call about a CA, for [`reversal`].
pub mod before {
    use std::collections::BTreeMap;

    use super::{Failure, FailureClass, PcaClient, Value, is_gone};

    pub async fn status(pca: PcaClient, ca: String) -> Result<Value, Failure> {
        let status = pca.describe(&ca).await?.status;
        Ok(Value::map([("ca", ca.into()), ("status", status.into())]))
    }

    pub async fn certificate(pca: PcaClient, ca: String) -> Result<Value, Failure> {
        let known = match pca.authority_certificate(&ca).await {
            Ok(signed) => Some(signed),
            // It has none yet.
            Err(f) if f.class == FailureClass::Conflict || is_gone(&f) => None,
            Err(failure) => return Err(failure),
        };
        let certificate = known.as_ref().map(|signed| signed.certificate.clone());
        Ok(Value::map([
            ("ca", ca.into()),
            ("certificate", certificate.into()),
            ("chain", known.and_then(|signed| signed.chain).into()),
        ]))
    }

    pub async fn tags(pca: PcaClient, ca: String, keys: Vec<String>) -> Result<Value, Failure> {
        let found = pca.tags(&ca).await?;
        let tags: BTreeMap<String, Value> = keys
            .into_iter()
            .map(|key| {
                let value = found.get(&key).cloned();
                (key, value.into())
            })
            .collect();
        Ok(Value::map([("ca", ca.into()), ("tags", Value::Map(tags))]))
    }

    pub async fn permission(
        pca: PcaClient,
        ca: String,
        principal: String,
        source_account: Option<String>,
    ) -> Result<Value, Failure> {
        let found = pca.permissions(&ca).await?;
        let had = found
            .into_iter()
            .find(|p| p.principal == principal && p.source_account == source_account);
        Ok(Value::map([
            ("ca", ca.into()),
            ("principal", principal.into()),
            ("source_account", source_account.into()),
            ("actions", had.map(|p| p.actions).into()),
        ]))
    }

    pub async fn policy(pca: PcaClient, ca: String) -> Result<Value, Failure> {
        let policy = match pca.policy(&ca).await {
            Ok(policy) => policy,
            Err(failure) if is_gone(&failure) => None,
            Err(failure) => return Err(failure),
        };
        Ok(Value::map([("ca", ca.into()), ("policy", policy.into())]))
    }
}
