//! GetCertificate.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::rule::arn;
use crate::rule::status::Deed;
use crate::store::{authority, certificate};
use crate::x509::pem;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    certificate_arn: String,
}

/// Returns a certificate, and the chain that the authority had when it signed the certificate. A root's own certificate has
/// none.
pub(crate) fn certificate(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let (found, issuer) = call.service.store.read(|connection| {
        let (authority, _) = call.guarded(connection, &input.certificate_authority_arn)?;
        authority.check(Deed::Manage, call.now)?;
        let serial = arn::serial(&authority.arn, &input.certificate_arn)?;
        let found = certificate::find(connection, &authority.arn, serial)?.ok_or_else(|| {
            let arn = &input.certificate_arn;
            Code::ResourceNotFound.says(format!("Could not find certificate {arn}"))
        })?;
        let issuer = match found.generation {
            0 => None,
            generation => Some(authority::identity(connection, &authority.arn, generation)?),
        };
        Ok((found, issuer))
    })?;
    if call.now < found.ready_at {
        return Err(Code::RequestInProgress
            .says("The request to issue the certificate is still in progress"));
    }
    if let Some(reason) = found.failure {
        return Err(Code::RequestFailed.says(reason));
    }
    let mut answer = json!({ "Certificate": pem::chain([found.body.as_slice()]) });
    if let Some((certificate, chain)) = issuer {
        let mut text = pem::chain([certificate.as_slice()]);
        if let Some(chain) = chain {
            text.push('\n');
            text.push_str(&chain);
        }
        answer["CertificateChain"] = json!(text);
    }
    Ok(answer)
}
