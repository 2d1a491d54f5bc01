//! IssueCertificate.

use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::sign::{Input, Signer, sign};
use crate::options::Quotas;
use crate::revocation;
use crate::rule::arn;
use crate::rule::status::Deed;
use crate::rule::template::Template;
use crate::store::authority::Authority;
use crate::store::token::Token;
use crate::store::{certificate, list};

/// The result for a repeated request, or what is needed to sign a new one.
enum Found {
    Answered(String),
    New(Box<Signer>),
}

/// Issues a certificate and returns its ARN. The certificate can be read after the issuing delay.
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
        let partition = match template.base.is_root() {
            true => None,
            false => revocation::partition(connection, &authority)?,
        };
        Ok(Found::New(Box::new(Signer {
            authority,
            key,
            partition,
        })))
    })?;
    let signer = match found {
        Found::Answered(arn) => return Ok(json!({ "CertificateArn": arn })),
        Found::New(signer) => signer,
    };

    // Signing takes time, so it is done outside any transaction.
    let certificate = sign(call, &input, &template, &signer)?;
    let is_listed = !template.base.is_root() && revocation::publishes(&signer.authority);
    let arn = arn::certificate(authority_arn, &certificate.serial);
    let (now, quotas) = (call.now, call.service.options.quotas);
    let (arn, opened) = call.change(authority_arn, move |connection, authority| {
        if let Some(token) = &token {
            if let Some(arn) = token.answer(connection, now)? {
                return Ok((arn, None));
            }
            token.remember(connection, &arn, now)?;
        }
        check(&authority, &template, now)?;
        let most = revocation::most_certificates(&authority);
        if quotas == Quotas::Aws && certificate::counts(connection, &authority.arn)?.0 >= most {
            return Err(Code::LimitExceeded.says(format!(
                "A certificate authority can issue at most {most} certificates"
            )));
        }
        certificate::insert(connection, &authority.arn, &certificate)?;
        let partition = certificate.partition;
        // A certificate must not name a CRL that does not exist, so the first certificate creates it.
        let opens = is_listed && list::bind(connection, &authority.arn, partition.as_deref())?;
        Ok((arn, opens.then_some(partition)))
    })?;
    if let Some(partition) = opened {
        revocation::publish_revocation(call.service, authority_arn, partition.as_deref());
    }
    Ok(json!({ "CertificateArn": arn }))
}

/// Checks the status. Only a root may issue before it has a certificate, and then only its own certificate.
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
