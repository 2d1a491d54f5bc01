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
use windlass_ground::closest;
use windlass_world::{
    outside::{Extension, Issue, Passthrough, SignedCertificate, Validity},
    value::Value,
    x509::{KEY_USAGES, pem},
};

const ISSUE: &str = "pca::issue_certificate";

/// How long a key is used: AWS forgets an idempotency token after five minutes, and one minute is left for the call's own waits and retries.
pub const TOKEN_LIVES: Duration = Duration::from_secs(4 * 60);

/// Implements `pca::issue_certificate(ca, #{ csr, template, validity, signing_algorithm, api_passthrough })`:
/// returns the ARN of a certificate that is ready later, see `pca::wait_until_issued`.
pub fn issue(context: NativeCallContext, authority: &str, map: Map) -> Result<String, Thrown> {
    let given = Arguments::new(ISSUE, map.clone())?.to_value();
    let issue = read(authority, map)?;
    let refusal = check_passthrough(&issue);
    let ca = authority.to_owned();
    // An undo may have to repeat the request, without the script.
    let before = Value::map([("ca", ca.into()), ("request", given.clone())]);
    let pca = host(&context)?.clients.pca;
    let record = record(authority, given);
    let call = Call::of(ISSUE, record, move |key| async move {
        pca.issue(&issue, key.as_str()).await.map(Value::String)
    })
    .remembering(move || async move { Ok(before) });
    Ok(perform(&context, call.refusing(refusal))?.to_text())
}

/// Refuses what AWS would drop without a word: a passthrough with a template that takes none, and key usages with an unknown name.
fn check_passthrough(issue: &Issue) -> Result<(), String> {
    let given = &issue.passthrough;
    for usage in &given.key_usage {
        if !KEY_USAGES.contains(&usage.as_str()) {
            let hint = match closest(usage, KEY_USAGES.into_iter()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("it must be one of {}", KEY_USAGES.join(", ")),
            };
            return Err(format!(
                "`api_passthrough.key_usage`: `{usage}` is not a key usage; {hint}"
            ));
        }
    }
    let template = issue.template.as_deref().unwrap_or(DEFAULT_TEMPLATE);
    let name = template
        .rsplit_once("template/")
        .map_or(template, |(_, name)| name);
    let takes = name
        .split(['_', '/'])
        .any(|word| matches!(word, "APIPassthrough" | "APICSRPassthrough"));
    if given.is_empty() || takes {
        return Ok(());
    }
    let (base, _) = name.split_once('/').unwrap_or((name, ""));
    let wanted = match base.strip_suffix("_CSRPassthrough") {
        Some(base) => format!("{base}_APICSRPassthrough/V1"),
        None => format!("{base}_APIPassthrough/V1"),
    };
    Err(format!(
        "the template {base} does not take `api_passthrough`, and AWS would ignore it; use `{wanted}`"
    ))
}

/// The template of a request that names none (AWS Private CA, "Using templates").
const DEFAULT_TEMPLATE: &str = "EndEntityCertificate/V1";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_dropped_without_a_word_is_refused() {
        let issue = |template: Option<&str>, usage: &str| Issue {
            authority: "arn".into(),
            csr: String::new(),
            signing_algorithm: "SHA256WITHRSA".into(),
            template: template.map(str::to_owned),
            validity: Validity::parse("1d").expect("a validity"),
            passthrough: Passthrough {
                key_usage: vec![usage.into()],
                ..Passthrough::default()
            },
        };
        let check = |template, usage| check_passthrough(&issue(template, usage));
        let passes = Some("arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1");
        assert_eq!(check(passes, "digitalSignature"), Ok(()));
        let both = Some("BlankEndEntityCertificate_APICSRPassthrough/V1");
        assert_eq!(check(both, "digitalSignature"), Ok(()));
        let why = check(passes, "keyencipherment").expect_err("an unknown usage");
        assert!(why.contains("did you mean `keyEncipherment`?"), "{why}");
        let why = check(None, "digitalSignature").expect_err("the default template");
        assert!(
            why.contains("use `EndEntityCertificate_APIPassthrough/V1`"),
            "{why}"
        );
        let of_csr = Some("SubordinateCACertificate_PathLen0_CSRPassthrough/V1");
        let why = check(of_csr, "keyCertSign").expect_err("a template for the CSR");
        assert!(
            why.contains("`SubordinateCACertificate_PathLen0_APICSRPassthrough/V1`"),
            "{why}"
        );
        let mut nothing = issue(None, "x");
        nothing.passthrough = Passthrough::default();
        assert_eq!(check_passthrough(&nothing), Ok(()));
    }
}
