//! RevokeCertificate.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::options::Quotas;
use crate::revocation;
use crate::rule::status::Deed;
use crate::store::certificate;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    certificate_serial: String,
    revocation_reason: String,
}

/// Revokes a certificate by its serial number, in hexadecimal with or without colons.
pub(crate) fn revoke(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let serial = normalized(&input.certificate_serial)?;
    let (now, quotas) = (call.now, call.service.options.quotas);
    let reason = input.revocation_reason;
    let partition = call.change(
        &input.certificate_authority_arn,
        move |connection, authority| {
            authority.check(Deed::Revoke, now)?;
            let found =
                certificate::find(connection, &authority.arn, &serial)?.ok_or_else(|| {
                    Code::ResourceNotFound
                        .says(format!("Could not find a certificate with serial {serial}"))
                })?;
            if found.generation == 0 {
                return Err(Code::InvalidRequest.says("Self-signed certificate can not be revoked"));
            }
            if now < found.ready_at {
                return Err(Code::RequestInProgress
                    .says("The request to issue the certificate is still in progress"));
            }
            if found.failure.is_some() {
                return Err(Code::RequestFailed.says("The certificate was never issued"));
            }
            let most = revocation::most_certificates(&authority);
            if quotas == Quotas::Aws
                && certificate::count_revoked(connection, &authority.arn)? >= most
            {
                return Err(Code::LimitExceeded.says(format!(
                    "A certificate authority can revoke at most {most} certificates"
                )));
            }
            if !certificate::revoke(connection, &authority.arn, &found, &reason, now)? {
                return Err(
                    Code::RequestAlreadyProcessed.says("The certificate is already revoked")
                );
            }
            Ok(found.partition)
        },
    )?;
    let arn = &input.certificate_authority_arn;
    revocation::publish_revocation(call.service, arn, partition.as_deref());
    Ok(json!({}))
}

/// Normalizes a serial number to 32 lower-case digits, from the notation of openssl or of the console.
fn normalized(text: &str) -> Result<String, Failure> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Code::InvalidRequest.says(format!(
            "The certificate serial {text} is not a hexadecimal number"
        )));
    }
    let digits = digits.trim_start_matches('0').to_ascii_lowercase();
    Ok(format!("{digits:0>32}"))
}
