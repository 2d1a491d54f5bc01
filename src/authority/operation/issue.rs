//! IssueCertificate.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::authority::clock::milliseconds;
use crate::authority::failure::{Code, Failure};
use crate::authority::operation::call::Call;
use crate::authority::operation::create;
use crate::authority::options::Quotas;
use crate::authority::revocation;
use crate::authority::rule::api::ApiPassthrough;
use crate::authority::rule::arn;
use crate::authority::rule::passthrough::{self, Issuer};
use crate::authority::rule::status::Deed;
use crate::authority::rule::template::Template;
use crate::authority::rule::validity::{self, Bounds, Validity};
use crate::authority::store::authority::Authority;
use crate::authority::store::certificate::{self, Certificate};
use crate::authority::store::token::Token;
use crate::authority::x509::certificate::{Blueprint, Facts, Serial, facts};
use crate::authority::x509::key::{SigningAlgorithm, SigningKey};
use crate::authority::x509::request::SigningRequest;

/// AWS's quota per authority with a complete CRL.
const CERTIFICATES: i64 = 1_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    csr: String,
    signing_algorithm: String,
    template_arn: Option<String>,
    validity: Validity,
    validity_not_before: Option<Validity>,
    api_passthrough: Option<ApiPassthrough>,
}

/// Whether a request repeats another, and otherwise who is to sign.
enum Found {
    Answered(String),
    New(Box<Authority>, Arc<SigningKey>),
}

/// Signs a certificate and answers with its ARN; it can be read after the issuing delay.
pub(crate) fn issue(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let template = match &input.template_arn {
        None => Template::DEFAULT,
        Some(text) => Template::of_arn(text, &call.caller.region)?,
    };
    let authority_arn = &input.certificate_authority_arn;
    let idempotency = call.service.options.idempotency;
    let scope = format!("{}/{authority_arn}", call.caller.account);
    let token = Token::of("IssueCertificate", &scope, &call.input, idempotency);
    let found = call.service.store.read(|connection| {
        let authority = call.authority(connection, authority_arn)?;
        if let Some(token) = &token
            && let Some(arn) = token.answer(connection, call.now)?
        {
            return Ok(Found::Answered(arn));
        }
        check(&authority, &template, call.now)?;
        let key = call.service.key(connection, &authority)?;
        Ok(Found::New(Box::new(authority), key))
    })?;
    let (authority, key) = match found {
        Found::Answered(arn) => return Ok(json!({ "CertificateArn": arn })),
        Found::New(authority, key) => (authority, key),
    };

    // The slow part, outside any transaction.
    let certificate = make(call, &input, &template, &authority, &key)?;
    let arn = arn::certificate(authority_arn, &certificate.serial);
    let (now, quotas) = (call.now, call.service.options.quotas);
    let arn = call.change(authority_arn, move |connection, authority| {
        if let Some(token) = &token {
            if let Some(arn) = token.answer(connection, now)? {
                return Ok(arn);
            }
            token.remember(connection, &arn, now)?;
        }
        check(&authority, &template, now)?;
        if quotas == Quotas::Aws
            && certificate::counts(connection, &authority.arn)?.0 >= CERTIFICATES
        {
            return Err(Code::LimitExceeded.says(format!(
                "A certificate authority can issue {CERTIFICATES} certificates at most"
            )));
        }
        certificate::insert(connection, &authority.arn, &certificate)?;
        Ok(arn)
    })?;
    Ok(json!({ "CertificateArn": arn }))
}

/// Only a root may issue before it has a certificate, and then only its own.
fn check(authority: &Authority, template: &Template, now: i64) -> Result<(), Failure> {
    if !template.base.is_root() {
        authority.check(Deed::Issue, now)?;
        if now < authority.settled_at {
            return Err(Code::InvalidState.says(
                "The certificate authority is not in a valid state for issuing certificates",
            ));
        }
        return Ok(());
    }
    authority.check(
        if authority.root {
            Deed::IssueOwn
        } else {
            Deed::Issue
        },
        now,
    )?;
    if authority.root {
        Ok(())
    } else {
        Err(Code::InvalidArgs.says(
            "A template for root certificates can only be used with a root certificate authority",
        ))
    }
}

fn make(
    call: &Call,
    input: &Input,
    template: &Template,
    authority: &Authority,
    key: &SigningKey,
) -> Result<Certificate, Failure> {
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
    let issuer = if root {
        None
    } else {
        Some(identity(authority)?)
    };
    if template.base.is_subordinate() {
        check_path_length(issuer.as_ref(), template)?;
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

    let serial = Serial::draw()
        .map_err(|_| Code::InternalFailure.says("the source of randomness failed"))?;
    let partition = revocation::partition(authority, &serial.hex());
    let access = Issuer {
        key_identifier: issuer
            .as_ref()
            .map(|facts| facts.subject_key_identifier.clone()),
        distribution_point: revocation::distribution_point(authority, partition.as_deref()),
        responder: revocation::responder(authority).filter(|_| !root),
    };
    let api = input.api_passthrough.as_ref();
    let (subject, extensions) = passthrough::contents(template, api, &request, &access)?;
    let body = Blueprint {
        serial,
        issuer: issuer.as_ref().map_or(&subject, |facts| &facts.subject),
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
        partition: partition.filter(|_| !root),
        issued_at: call.now,
        ready_at: call
            .now
            .saturating_add(milliseconds(call.service.options.delays.issue)),
        not_after: span.not_after,
        failure: call
            .fails_later
            .then(|| "The request to issue the certificate failed".to_owned()),
    })
}

fn identity(authority: &Authority) -> Result<Facts, Failure> {
    authority
        .identity
        .as_ref()
        .and_then(|identity| facts(&identity.certificate))
        .ok_or_else(|| Code::InternalFailure.says("the authority's certificate can't be read"))
}

/// A subordinate's path length must be smaller than its issuer's.
fn check_path_length(issuer: Option<&Facts>, template: &Template) -> Result<(), Failure> {
    let allowed = issuer.and_then(|facts| facts.path_length);
    let asked = u32::from(template.path_length.unwrap_or_default());
    match allowed {
        Some(allowed) if asked >= allowed => Err(Code::InvalidArgs.says(format!(
            "The path length {asked} of the template must be smaller than the path length {allowed} of the certificate authority"
        ))),
        _ => Ok(()),
    }
}
