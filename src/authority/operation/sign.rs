//! Creates the certificate of an IssueCertificate request.

use std::sync::Arc;

use serde::Deserialize;

use crate::clock::ready_after;
use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::create;
use crate::revocation;
use crate::rule::api::ApiPassthrough;
use crate::rule::passthrough::{self, Issuer};
use crate::rule::template::Template;
use crate::rule::validity::{self, Bounds, Validity};
use crate::store::authority::Authority;
use crate::store::certificate::Certificate;
use crate::x509::certificate::{Blueprint, Serial};
use crate::x509::constraint::Limits;
use crate::x509::key::{SigningAlgorithm, SigningKey};
use crate::x509::oid;
use crate::x509::request::SigningRequest;

/// The input of IssueCertificate.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    pub certificate_authority_arn: String,
    pub csr: String,
    pub signing_algorithm: String,
    pub template_arn: Option<String>,
    pub validity: Validity,
    pub validity_not_before: Option<Validity>,
    pub api_passthrough: Option<ApiPassthrough>,
}

/// The authority that signs, and the partition of the CRL that the certificate is bound to.
pub(super) struct Signer {
    pub authority: Arc<Authority>,
    pub key: Arc<SigningKey>,
    pub partition: Option<String>,
}

/// Signs the certificate, or refuses it. This takes time, so it must be done outside any transaction.
pub(super) fn sign(
    call: &Call,
    input: &Input,
    template: &Template,
    signer: &Signer,
) -> Result<Certificate, Failure> {
    let Signer {
        authority,
        key,
        partition,
    } = signer;
    let key_name = authority.configured("KeyAlgorithm").unwrap_or_default();
    create::check_signing(key_name, &input.signing_algorithm)?;
    let algorithm = SigningAlgorithm::named(&input.signing_algorithm)
        .ok_or_else(|| Code::InvalidArgs.says("The algorithm is not supported"))?;
    let csr = data_encoding::BASE64
        .decode(input.csr.as_bytes())
        .map_err(|_| Code::Serialization.says("The CSR is not base64"))?;
    let request = SigningRequest::read(&csr)
        .map_err(|error| Code::MalformedCsr.says(format!("The CSR is not valid: {error}")))?;

    let root = template.base.is_root();
    if root && request.public_key != key.public_key_info()? {
        return Err(Code::InvalidArgs.says(
            "A template for root certificates can only be used with the certificate authority's own CSR",
        ));
    }
    let ancestry = if root {
        None
    } else {
        Some(call.service.ancestry(authority)?)
    };
    let unlimited = Limits::default();
    let limits = ancestry.as_ref().map_or(&unlimited, |it| &it.limits);
    let issuer = ancestry.as_ref().map(|it| &it.issuer);
    if template.base.is_subordinate() {
        check_path_length(limits, template)?;
    }
    let bounds = Bounds {
        issuer: authority
            .identity
            .as_ref()
            .filter(|_| !root)
            .map(|own| own.span),
        short_lived: authority.usage_mode == "SHORT_LIVED_CERTIFICATE" && !root,
    };
    let start = input.validity_not_before.as_ref();
    let span = validity::span(&input.validity, start, call.now, bounds)?;

    let serial = Serial::draw(call.now)
        .map_err(|_| Code::InternalFailure.says("the source of randomness failed"))?;
    let access = Issuer {
        key_identifier: issuer.map(|facts| facts.subject_key_identifier.clone()),
        distribution_point: revocation::distribution_point(authority, partition.as_deref()),
        responder: revocation::responder(authority).filter(|_| !root),
    };
    let api = input.api_passthrough.as_ref();
    let (subject, extensions) = passthrough::contents(template, api, &request, &access)?;
    let names = extensions
        .iter()
        .find(|extension| extension.id == oid::SUBJECT_ALTERNATIVE_NAME)
        .map(|extension| extension.value.as_slice());
    limits
        .check(&subject, names, !template.base.is_subordinate())
        .map_err(|error| {
            Code::Validation.says(format!("The certificate cannot be issued: {error}"))
        })?;
    let body = Blueprint {
        serial,
        issuer: issuer.map_or(&subject, |facts| &facts.subject),
        subject: &subject,
        public_key: &request.public_key,
        not_before: span.not_before,
        not_after: span.not_after,
        extensions: &extensions,
    }
    .sign(key, algorithm)?;
    Ok(Certificate {
        serial: serial.hex(),
        body,
        generation: if root { 0 } else { authority.generation },
        template: template.name(),
        requester: call.caller.account.clone(),
        partition: partition.clone(),
        issued_at: call.now,
        ready_at: ready_after(call.now, call.service.options.delays.issue),
        not_after: span.not_after,
        failure: call
            .fails_later
            .then(|| "The request to issue the certificate failed".to_owned()),
    })
}

/// Checks the path length of a subordinate: it must be smaller than its issuer's, and allowed by all authorities above.
fn check_path_length(limits: &Limits, template: &Template) -> Result<(), Failure> {
    let asked = u32::from(template.path_length.unwrap_or_default());
    match limits.path_length {
        // A validation exception, according to the user guide's page "RFC compliance".
        Some(allowed) if asked >= allowed => Err(Code::Validation.says(format!(
            "The path length {asked} of the template must be smaller than the path length {allowed} that the certificate authority has left"
        ))),
        _ => Ok(()),
    }
}
