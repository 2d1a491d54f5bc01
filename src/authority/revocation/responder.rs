//! The OCSP responder. Each authority signs its own responses; as on AWS, they contain no nonce.

use rusqlite::Connection;

use crate::clock::Moment;
use crate::failure::Failure;
use crate::revocation::address;
use crate::rule::status::Status;
use crate::service::Service;
use crate::store::authority::{self, Authority};
use crate::store::certificate;
use crate::x509::certificate::{facts, parse};
use crate::x509::extension;
use crate::x509::key::SigningAlgorithm;
use crate::x509::ocsp::{self, Question, Refusal, Standing};

/// How long a response may be cached, in milliseconds. As on AWS it is an hour, within which a revocation becomes visible.
const FRESH: Moment = 60 * 60 * 1000;

/// Answers an OCSP request. A request that can't be answered gets an OCSP error response.
pub(crate) fn respond(service: &Service, request: &[u8]) -> Vec<u8> {
    let Some(questions) = ocsp::read(request) else {
        return ocsp::refuse(Refusal::Malformed);
    };
    match answer(service, questions) {
        Ok(Some(answer)) => answer,
        Ok(None) => ocsp::refuse(Refusal::Unauthorized),
        Err(_) => ocsp::refuse(Refusal::Internal),
    }
}

/// Returns the signed response, or `None` if no authority here answers for the issuer.
fn answer(service: &Service, questions: Vec<Question>) -> Result<Option<Vec<u8>>, Failure> {
    let now = service.options.clock.now();
    service.store.read(|connection| {
        let all = authority::all(connection, now)?;
        let Some((authority, key_bits)) = all.iter().find_map(|authority| {
            Some((authority, key_bits_if_asked(authority, &questions, now)?))
        }) else {
            return Ok(None);
        };
        let mut answers = Vec::new();
        for question in questions {
            let standing = standing(connection, authority, &question.serial, now)?;
            answers.push((question, standing));
        }
        let Some(algorithm) = authority
            .configured("SigningAlgorithm")
            .and_then(SigningAlgorithm::named)
        else {
            return Ok(None);
        };
        let key = service.key(connection, authority)?;
        let identifier = extension::key_identifier(&key_bits);
        let signed = ocsp::answer(&answers, &identifier, now, now + FRESH, &key, algorithm)?;
        Ok(Some(signed))
    })
}

/// Returns the public key bits of an authority, if all questions are about its certificates and it answers OCSP requests.
fn key_bits_if_asked(
    authority: &Authority,
    questions: &[Question],
    now: Moment,
) -> Option<Vec<u8>> {
    let answering = address::responds(authority)
        && matches!(authority.status(now), Status::Active | Status::Disabled);
    let identity = authority.identity.as_ref().filter(|_| answering)?;
    let name = facts(&identity.certificate)?.subject;
    let certificate = parse(&identity.certificate)?;
    let bits = &certificate.public_key().subject_public_key.data;
    questions
        .iter()
        .all(|question| question.is_about(&name, bits))
        .then(|| bits.to_vec())
}

fn standing(
    connection: &Connection,
    authority: &Authority,
    serial: &str,
    now: Moment,
) -> Result<Standing, Failure> {
    if let Some(revocation) = certificate::revocation(connection, &authority.arn, serial)? {
        return Ok(Standing::Revoked {
            at: revocation.revoked_at,
            reason: revocation.reason,
        });
    }
    let issued = certificate::find(connection, &authority.arn, serial)?
        .is_some_and(|found| found.failure.is_none() && found.ready_at <= now);
    Ok(if issued {
        Standing::Good
    } else {
        Standing::Unknown
    })
}
