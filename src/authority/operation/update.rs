//! UpdateCertificateAuthority.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::revocation;
use crate::rule::status::{Deed, Status};
use crate::store::authority;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    revocation_configuration: Option<Value>,
    status: Option<String>,
}

/// Disables or enables an authority, or changes how it publishes revocations.
pub(crate) fn update(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let status = match input.status.as_deref() {
        None => None,
        Some("ACTIVE") => Some(Status::Active),
        Some("DISABLED") => Some(Status::Disabled),
        Some(other) => {
            return Err(Code::InvalidArgs.says(format!(
                "The status {other} cannot be set: it must be ACTIVE or DISABLED"
            )));
        }
    };
    let (now, asked) = (call.now, input.revocation_configuration);
    call.change(
        &input.certificate_authority_arn,
        move |connection, mut authority| {
            authority.check(Deed::Configure, now)?;
            if let Some(status) = status.filter(|status| *status != authority.stored) {
                authority.stored = status;
                authority.changed_at = now;
            }
            authority.revocation = revocation::complete(asked.as_ref(), &authority.revocation)?;
            authority::update(connection, &authority)
        },
    )?;
    revocation::publish(call.service, &input.certificate_authority_arn);
    Ok(json!({}))
}
