//! DeleteCertificateAuthority and RestoreCertificateAuthority.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::operation::call::{Call, OfAuthority};
use crate::rule::status::{Deed, Status};
use crate::store::authority;

const DAY: Moment = 24 * 60 * 60 * 1000;

/// AWS's restoration period, in days, if none is specified.
const DEFAULT_DAYS: Moment = 30;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    permanent_deletion_time_in_days: Option<Moment>,
}

/// Deletes an authority, which can be restored for 7 to 30 days. An authority whose creation has not succeeded is removed at
/// once.
pub(crate) fn delete(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let now = call.now;
    let days = input
        .permanent_deletion_time_in_days
        .unwrap_or(DEFAULT_DAYS);
    call.change(
        &input.certificate_authority_arn,
        move |connection, mut authority| {
            let status = authority.status(now);
            authority.check(Deed::Delete, now)?;
            let restorable = !matches!(status, Status::Creating | Status::Failed);
            authority.before = Some(authority.stored);
            authority.stored = Status::Deleted;
            authority.restorable_until = Some(if restorable { now + days * DAY } else { now });
            authority.changed_at = now;
            authority::update(connection, &authority)?;
            // An authority that can't be restored is removed at once, with its key.
            authority::purge(connection, now)
        },
    )?;
    Ok(json!({}))
}

/// Undoes a deletion: the authority gets the status that it had before.
pub(crate) fn restore(call: &Call) -> Result<Value, Failure> {
    let input: OfAuthority = call.read()?;
    let now = call.now;
    call.change(
        &input.certificate_authority_arn,
        move |connection, mut authority| {
            authority.check(Deed::Restore, now)?;
            authority.stored = authority.before.take().ok_or_else(|| {
                Code::InternalFailure.says("the status before the deletion is not known")
            })?;
            authority.restorable_until = None;
            authority.changed_at = now;
            authority::update(connection, &authority)
        },
    )?;
    Ok(json!({}))
}
