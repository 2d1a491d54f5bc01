//! DescribeCertificateAuthority.

use serde_json::{Map, Value, json};

use crate::clock::Moment;
use crate::failure::Failure;
use crate::operation::call::Call;
use crate::rule::status::Status;
use crate::store::authority::Authority;

/// Returns one authority.
pub(crate) fn describe(call: &Call) -> Result<Value, Failure> {
    let authority = call.named_authority()?;
    Ok(json!({ "CertificateAuthority": shape(&authority, call.now) }))
}

/// Returns the service model's `CertificateAuthority`, without the members that have no value.
pub(crate) fn shape(authority: &Authority, now: Moment) -> Value {
    let status = authority.status(now);
    let identity = authority.identity.as_ref();
    let changed = match (status, identity) {
        (Status::Expired, Some(identity)) => identity.span.not_after,
        (Status::Creating, _) => authority.changed_at,
        _ => authority.changed_at.max(authority.ready_at),
    };
    let failed = authority.failure_reason.as_ref();
    let members = [
        ("Arn", Some(json!(authority.arn))),
        ("OwnerAccount", Some(json!(authority.account))),
        ("CreatedAt", Some(timestamp(authority.created_at))),
        ("LastStateChangeAt", Some(timestamp(changed))),
        (
            "Type",
            Some(json!(if authority.root {
                "ROOT"
            } else {
                "SUBORDINATE"
            })),
        ),
        ("Serial", identity.map(|identity| json!(identity.serial))),
        ("Status", Some(json!(status.name()))),
        (
            "NotBefore",
            identity.map(|identity| timestamp(identity.span.not_before)),
        ),
        (
            "NotAfter",
            identity.map(|identity| timestamp(identity.span.not_after)),
        ),
        (
            "FailureReason",
            failed
                .filter(|_| status == Status::Failed)
                .map(|reason| json!(reason)),
        ),
        (
            "CertificateAuthorityConfiguration",
            Some(authority.configuration.clone()),
        ),
        (
            "RevocationConfiguration",
            Some(authority.revocation.clone()),
        ),
        ("RestorableUntil", authority.restorable_until.map(timestamp)),
        (
            "KeyStorageSecurityStandard",
            Some(json!(authority.key_standard)),
        ),
        ("UsageMode", Some(json!(authority.usage_mode))),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

/// Returns the time in seconds since 1970, with milliseconds as decimals.
pub(crate) fn timestamp(moment: Moment) -> Value {
    json!(moment as f64 / 1000.0)
}
