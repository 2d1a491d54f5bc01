//! Issues, fetches, imports and revokes certificates.

use std::time::Duration;

use rhai::{Dynamic, Map, NativeCallContext};

use super::{
    super::{
        Thrown,
        arguments::{Arguments, refuse},
        host, perform,
    },
    call, record, reversible,
    undo::before,
};
use crate::{dynamic::to_dynamic, effects::Call};
use windlass_world::{
    outside::{Extension, Issue, Passthrough, SignedCertificate, Validity},
    value::Value,
    x509::pem,
};

const ISSUE: &str = "pca::issue_certificate";

/// How long a key is used: AWS forgets an idempotency token after five minutes, and one minute is left for the call's own waits and retries.
pub const TOKEN_LIVES: Duration = Duration::from_secs(4 * 60);

/// Implements `pca::issue_certificate(ca, #{ csr, template, validity, signing_algorithm, api_passthrough })`:
/// returns the ARN of a certificate that is ready later, see `pca::wait_until_issued`.
pub fn issue(context: NativeCallContext, authority: &str, map: Map) -> Result<String, Thrown> {
    let given = Arguments::new(ISSUE, map.clone())?.to_value();
    let issue = read(authority, map)?;
    let ca = authority.to_owned();
    // An undo may have to repeat the request, without the script.
    let before = Value::map([("ca", ca.into()), ("request", given.clone())]);
    let pca = host(&context)?.clients.pca;
    let record = record(authority, given);
    let call = Call::of(ISSUE, record, move |key| async move {
        pca.issue(&issue, key.as_str()).await.map(Value::String)
    })
    .remembering(move || async move { Ok(before) });
    Ok(perform(&context, call)?.to_text())
}

/// Returns the request that [`issue`] recorded. `None` in journals of versions that did not record it.
pub fn recorded(before: &Value) -> Option<Issue> {
    let map = to_dynamic(before.field("request")?).try_cast::<Map>()?;
    read(&before.field("ca")?.to_text(), map).ok()
}

fn read(authority: &str, map: Map) -> Result<Issue, Thrown> {
    let mut arguments = Arguments::new(ISSUE, map)?;
    let issue = Issue {
        authority: authority.into(),
        csr: request(&arguments.text("csr")?)?,
        signing_algorithm: arguments.text("signing_algorithm")?,
        template: arguments.optional_text("template")?,
        validity: validity(ISSUE, &arguments.required("validity")?)?,
        passthrough: match arguments.optional_map("api_passthrough")? {
            Some(map) => passthrough(map)?,
            None => Passthrough::default(),
        },
    };
    arguments.finish().map(|()| issue)
}

/// Returns only the signing request, without surrounding text, which AWS does not accept.
fn request(text: &str) -> Result<String, Thrown> {
    let block = pem::request(text.as_bytes()).map_err(|e| refuse(ISSUE, format!("`csr`: {e}")))?;
    Ok(pem::encode("CERTIFICATE REQUEST", &block.content))
}

/// Returns only the certificates, without surrounding text, which AWS does not accept.
fn certificates(function: &str, key: &str, text: &str) -> Result<String, Thrown> {
    let blocks = pem::certificates(text.as_bytes())
        .map_err(|e| refuse(function, format!("`{key}`: {e}")))?;
    let texts = blocks
        .iter()
        .map(|block| pem::encode("CERTIFICATE", &block.content));
    Ok(texts.collect())
}

/// Reads `365d`, or AWS's own `#{ type: "MONTHS", value: 12 }`.
fn validity(function: &str, given: &Value) -> Result<Validity, Thrown> {
    if let Value::String(text) = given {
        return Validity::parse(text).map_err(|e| refuse(function, format!("`validity`: {e}")));
    }
    match (given.field("type"), given.field("value")) {
        (Some(Value::String(unit)), Some(Value::Int(value))) => Ok(Validity {
            unit: unit.clone(),
            value: *value,
        }),
        _ => Err(refuse(
            function,
            "`validity` must be a duration such as `365d`, or #{ type: \"MONTHS\", value: 12 }",
        )),
    }
}

fn passthrough(mut arguments: Arguments) -> Result<Passthrough, Thrown> {
    let passthrough = Passthrough {
        subject: arguments.subject("subject")?,
        names: arguments.alternative_names()?,
        key_usage: arguments.texts("key_usage")?,
        extended_key_usage: arguments.texts("extended_key_usage")?,
        certificate_policies: arguments.texts("certificate_policies")?,
        custom_extensions: arguments
            .maps("custom_extensions")?
            .into_iter()
            .map(|mut extension| {
                let built = Extension {
                    object_identifier: extension.text("oid")?,
                    value: extension.text("value")?,
                    is_critical: extension.flag("critical")?,
                };
                extension.finish().map(|()| built)
            })
            .collect::<Result<_, _>>()?,
    };
    arguments.finish().map(|()| passthrough)
}

pub fn get(context: &NativeCallContext, ca: &str, certificate: &str) -> Result<Value, Thrown> {
    let (authority, arn) = (ca.to_owned(), certificate.to_owned());
    let function = "pca::get_certificate";
    call(context, function, certificate.into(), |pca| async move {
        pca.certificate(&authority, &arn).await.map(signed_value)
    })
}

/// Returns `#{ certificate, chain }`, or throws `RequestInProgressException` while the certificate is not ready.
pub fn get_dynamic(context: NativeCallContext, ca: &str, arn: &str) -> Result<Dynamic, Thrown> {
    get(&context, ca, arn).map(|value| to_dynamic(&value))
}

/// AWS returns PEM without a final line end, but scripts concatenate such texts to chains.
pub fn signed_value(signed: SignedCertificate) -> Value {
    let whole = |pem: String| if pem.ends_with('\n') { pem } else { pem + "\n" };
    Value::map([
        ("certificate", whole(signed.certificate).into()),
        ("chain", signed.chain.map(whole).into()),
    ])
}

/// Implements `pca::import_certificate_authority_certificate(ca, #{ certificate, chain })`.
pub fn import(context: NativeCallContext, authority: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::import_certificate_authority_certificate";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = record(authority, arguments.to_value());
    let signed = SignedCertificate {
        certificate: certificates(FUNCTION, "certificate", &arguments.text("certificate")?)?,
        chain: arguments
            .optional_text("chain")?
            .map(|chain| certificates(FUNCTION, "chain", &chain))
            .transpose()?,
    };
    arguments.finish()?;
    let (ca, looked_at) = (authority.to_owned(), authority.to_owned());
    let imported = signed.certificate.clone();
    reversible(
        &context,
        FUNCTION,
        record,
        |pca| before::certificate(pca, looked_at, imported),
        |pca| async move { pca.import(&ca, &signed).await },
    )
}

/// Implements `pca::revoke_certificate(ca, #{ serial, reason: "SUPERSEDED" })`; the serial is hex, with or
/// without colons. Revoking a certificate again changes nothing.
pub fn revoke(context: NativeCallContext, authority: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::revoke_certificate";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = record(authority, arguments.to_value());
    let serial = arguments.text("serial")?;
    let reason = arguments.text("reason")?;
    arguments.finish()?;
    let ca = authority.to_owned();
    call(&context, FUNCTION, record, |pca| async move {
        pca.revoke(&ca, &serial, &reason)
            .await
            .map(|()| Value::Null)
    })
    .map(|_| ())
}
