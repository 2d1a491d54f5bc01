//! AWS Signature Version 4, which authenticates the caller.

use aws_lc_rs::{digest, hmac};
use axum::http::HeaderMap;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::failure::{Code, Failure};
use crate::options::AccessKey;

const SERVICE: &str = "acm-pca";

/// How much a client's clock may differ.
const SKEW: time::Duration = time::Duration::minutes(5);

/// The caller according to a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signer {
    pub key: String,
    pub region: String,
}

/// The parts of a request that the signature covers.
pub(crate) struct Signed<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

struct Authorization<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    headers: &'a str,
    signature: &'a str,
}

/// Returns the caller that a request claims, without a check, or `None` if the request is not signed.
pub(crate) fn claimed(headers: &HeaderMap) -> Option<Signer> {
    let authorization = authorization(headers)?;
    Some(Signer {
        key: authorization.key.to_owned(),
        region: authorization.region.to_owned(),
    })
}

/// Checks the signature with the accepted keys.
pub(crate) fn check(request: &Signed<'_>, keys: &[AccessKey]) -> Result<Signer, Failure> {
    if !request.headers.contains_key("authorization") {
        return Err(Code::MissingAuthenticationToken.says("Missing Authentication Token"));
    }
    let incomplete = || {
        Code::IncompleteSignature.says("The Authorization header can't be read as AWS4-HMAC-SHA256")
    };
    let authorization = authorization(request.headers).ok_or_else(incomplete)?;
    let key = keys
        .iter()
        .find(|key| key.id == authorization.key)
        .ok_or_else(|| {
            Code::UnrecognizedClient.says("The security token included in the request is invalid.")
        })?;
    let moment = header(request.headers, "x-amz-date").ok_or_else(incomplete)?;
    check_time(moment, authorization.date)?;
    if authorization.service != SERVICE {
        return Err(Code::InvalidSignature.says(format!(
            "Credential should be scoped to correct service: '{SERVICE}'."
        )));
    }
    check_coverage(request.headers, authorization.headers)?;
    let canonical = canonical(request, authorization.headers).ok_or_else(incomplete)?;
    let scope = format!(
        "{}/{}/{SERVICE}/aws4_request",
        authorization.date, authorization.region
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let signature = data_encoding::HEXLOWER
        .decode(authorization.signature.as_bytes())
        .map_err(|_| incomplete())?;
    hmac::verify(
        &signing_key(key, &authorization),
        to_sign.as_bytes(),
        &signature,
    )
    .map_err(|_| {
        Code::InvalidSignature.says(
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method.",
        )
    })?;
    Ok(Signer {
        key: key.id.clone(),
        region: authorization.region.to_owned(),
    })
}

fn authorization(headers: &HeaderMap) -> Option<Authorization<'_>> {
    let text = header(headers, "authorization")?.strip_prefix("AWS4-HMAC-SHA256")?;
    let field = |name: &str| {
        text.split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let mut scope = field("Credential")?.split('/');
    let authorization = Authorization {
        key: scope.next()?,
        date: scope.next()?,
        region: scope.next()?,
        service: scope.next()?,
        headers: field("SignedHeaders")?,
        signature: field("Signature")?,
    };
    let whole = scope.next() == Some("aws4_request") && scope.next().is_none();
    let region = !authorization.region.is_empty()
        && authorization
            .region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (whole && region).then_some(authorization)
}

fn check_time(moment: &str, date: &str) -> Result<(), Failure> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed = PrimitiveDateTime::parse(moment, format)
        .map_err(|_| Code::IncompleteSignature.says("The X-Amz-Date header can't be read"))?
        .assume_utc();
    // The complete date: otherwise a scope without a date would match any.
    if moment.get(..8) != Some(date) {
        return Err(
            Code::InvalidSignature.says("Date in Credential scope does not match X-Amz-Date")
        );
    }
    // The machine's clock is used even in tests, since clients sign with it.
    let off = (OffsetDateTime::now_utc() - signed).abs();
    if off > SKEW {
        return Err(Code::InvalidSignature.says(format!(
            "Signature expired or not yet current: {moment} is more than 5 minutes from now"
        )));
    }
    Ok(())
}

/// Checks that the signature covers the host and all headers of AWS.
fn check_coverage(headers: &HeaderMap, signed: &str) -> Result<(), Failure> {
    let covered = |name: &str| signed.split(';').any(|known| known == name);
    let bare = headers
        .keys()
        .map(axum::http::HeaderName::as_str)
        .find(|name| (*name == "host" || name.starts_with("x-amz-")) && !covered(name));
    match bare {
        Some(name) => {
            Err(Code::InvalidSignature.says(format!("The header '{name}' must be signed")))
        }
        None => Ok(()),
    }
}

fn canonical(request: &Signed<'_>, signed: &str) -> Option<String> {
    let mut lines = String::new();
    for name in signed.split(';') {
        let values = request
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().ok().map(single_spaced))
            .collect::<Option<Vec<_>>>()?;
        if values.is_empty() {
            return None;
        }
        lines.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let mut query: Vec<&str> = request
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .collect();
    query.sort_unstable();
    Some(format!(
        "{}\n{}\n{}\n{lines}\n{signed}\n{}",
        request.method,
        request.path,
        query.join("&"),
        sha256(request.body)
    ))
}

fn single_spaced(text: &str) -> String {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn signing_key(key: &AccessKey, authorization: &Authorization<'_>) -> hmac::Key {
    let mut bytes = format!("AWS4{}", key.secret).into_bytes();
    for part in [
        authorization.date,
        authorization.region,
        SERVICE,
        "aws4_request",
    ] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        bytes = hmac::sign(&key, part.as_bytes()).as_ref().to_vec();
    }
    hmac::Key::new(hmac::HMAC_SHA256, &bytes)
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
