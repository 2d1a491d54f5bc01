//! ImportCertificateAuthorityCertificate and GetCertificateAuthorityCertificate.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::ready_after;
use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::revocation;
use crate::rule::status::{Deed, Status};
use crate::rule::validity::Span;
use crate::store::authority::{self, Authority, Identity};
use crate::x509::certificate::{Facts, facts};
use crate::x509::chain::{self, ChainError};
use crate::x509::request::SigningRequest;
use crate::x509::{name, pem};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    certificate: String,
    certificate_chain: Option<String>,
}

/// Gives an authority its certificate, from any issuer.
pub(crate) fn import(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let blocks = certificates(&input.certificate)?;
    let [certificate] = blocks.as_slice() else {
        return Err(Code::MalformedCertificate.says("Exactly one certificate is required"));
    };
    let certificate = certificate.clone();
    let chain = match &input.certificate_chain {
        None => Vec::new(),
        Some(text) => certificates(text)?,
    };
    let facts = facts(&certificate)
        .ok_or_else(|| Code::MalformedCertificate.says("The certificate cannot be read"))?;
    let now = call.now;
    let settled = ready_after(now, call.service.options.delays.settle);
    call.change(
        &input.certificate_authority_arn,
        move |connection, mut authority| {
            authority.check(Deed::Import, now)?;
            let csr = authority::csr(connection, &authority.arn)?;
            check_own(&facts, &csr)?;
            check_chain(&authority, &certificate, &chain, now)?;
            let identity = Identity {
                chain: (!authority.root).then(|| pem::chain(chain.iter().map(Vec::as_slice))),
                certificate,
                serial: facts.serial,
                span: Span {
                    not_before: facts.not_before,
                    not_after: facts.not_after,
                },
            };
            authority.generation += 1;
            authority::identify(connection, &authority.arn, authority.generation, &identity)?;
            if authority.stored == Status::PendingCertificate {
                authority.stored = Status::Active;
            }
            authority.changed_at = now;
            authority.settled_at = settled;
            authority::update(connection, &authority)
        },
    )?;
    revocation::publish(call.service, &input.certificate_authority_arn);
    Ok(json!({}))
}

/// Returns the authority's certificate and its chain; a root has no chain.
pub(crate) fn certificate(call: &Call) -> Result<Value, Failure> {
    let authority = call.named_authority()?;
    authority.check(Deed::ReadCertificate, call.now)?;
    let Some(identity) = &authority.identity else {
        return Err(Code::InternalFailure.says("the authority's certificate can't be found"));
    };
    let mut answer = json!({ "Certificate": pem::chain([identity.certificate.as_slice()]) });
    if let Some(chain) = &identity.chain {
        answer["CertificateChain"] = json!(chain);
    }
    Ok(answer)
}

fn certificates(blob: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let text = data_encoding::BASE64
        .decode(blob.as_bytes())
        .map_err(|_| Code::Serialization.says("The certificate is not base64"))?;
    pem::blocks(&text, &["CERTIFICATE"]).map_err(|error| {
        Code::MalformedCertificate.says(format!("The certificate is not valid: {error}"))
    })
}

fn check_own(facts: &Facts, csr: &[u8]) -> Result<(), Failure> {
    let request = SigningRequest::read_der(csr).map_err(|error| {
        Code::InternalFailure.says(format!("the stored CSR is not valid: {error}"))
    })?;
    if facts.public_key != request.public_key {
        return Err(Code::CertificateMismatch.says(
            "The public key of the certificate does not match the certificate authority's CSR",
        ));
    }
    if !name::same(&facts.subject, &request.subject) {
        return Err(Code::CertificateMismatch.says(
            "The subject of the certificate does not match the certificate authority's CSR",
        ));
    }
    Ok(())
}

fn check_chain(
    authority: &Authority,
    certificate: &[u8],
    chain: &[Vec<u8>],
    now: i64,
) -> Result<(), Failure> {
    if authority.root && !chain.is_empty() {
        return Err(Code::InvalidRequest
            .says("A certificate chain must not be given for a root certificate authority"));
    }
    if !authority.root && chain.is_empty() {
        return Err(Code::InvalidRequest
            .says("A certificate chain must be given for a subordinate certificate authority"));
    }
    let checked = if authority.root {
        chain::check_root(certificate, now)
    } else {
        chain::check_subordinate(certificate, chain, now)
    };
    checked.map_err(|error| {
        let code = match error {
            ChainError::PathLength
            | ChainError::Outlives
            | ChainError::NotSelfSigned
            | ChainError::SelfSigned => Code::CertificateMismatch,
            ChainError::Constraints(ref error) if error.is_violation() => Code::CertificateMismatch,
            _ => Code::MalformedCertificate,
        };
        code.says(sentence(&error.to_string()))
    })
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
