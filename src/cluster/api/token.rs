use serde_json::{Value as Json, json};

use super::{Call, body, intake::check_object};
use crate::{
    access::{Claims, issue},
    object::{child, items, number, timestamp, uid},
    wire::{Answer, Cause, Failure, Verb},
};

/// The API server's defaults, in seconds: a token is valid for an hour unless the request says otherwise, and for at least
/// ten minutes and at most 2^32 seconds.
const VALIDITY: i64 = 3600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// Answers a TokenRequest with a token for the service account.
pub(super) fn create(call: &Call) -> Result<Answer, Failure> {
    if call.verb != Verb::Create {
        return Err(Failure::method_not_allowed());
    }
    let mut request = body::read(call)?;
    check_object(&request)?;
    let seconds = number(&request, "/spec/expirationSeconds").unwrap_or(VALIDITY);
    let refused = match seconds {
        ..SHORTEST => Some("may not specify a duration less than 10 minutes"),
        SHORTEST..=LONGEST => None,
        _ => Some("may not specify a duration larger than 2^32 seconds"),
    };
    if let Some(why) = refused {
        let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), why);
        return Err(Failure::invalid(&call.resource, call.name(), &[cause]));
    }
    let account = call.service.store.read(|tx| {
        tx.get(&call.resource.key(), call.namespace(), call.name())?
            .ok_or_else(|| Failure::not_found(&call.resource, call.name()))
    })?;
    let now = call.now();
    let audiences = items(&request, "/spec/audiences").iter();
    let claims = Claims {
        namespace: call.namespace().to_owned(),
        name: call.name().to_owned(),
        uid: uid(&account).to_owned(),
        audiences: audiences
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        expires: now / 1000 + seconds,
    };
    let token = issue(&call.service.identity, &claims, now)?;
    child(&mut request, "spec").insert("expirationSeconds".into(), seconds.into());
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["status"] = json!({
        "token": token,
        "expirationTimestamp": timestamp(claims.expires * 1000),
    });
    Ok(Answer::Object(201, request))
}
