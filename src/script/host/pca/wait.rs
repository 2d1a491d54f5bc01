//! Waits for a status, with growing pauses.

use std::time::Duration;

use rhai::{Dynamic, NativeCallContext};

use super::{
    super::{Thrown, host, interrupt, patience::Patience, rejected},
    access::report_value,
    authority::authority_value,
    call,
    certificate::signed_value,
};
use crate::dynamic::to_dynamic;
use windlass_world::{
    outside::PcaClient,
    value::{Failure, FailureClass, Value},
};

/// The first pause between two looks; a local server is ready by then.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// AWS takes a few seconds; looking more often than this only uses up the account's rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// AWS needs seconds; after this time something is wrong and a person should check.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until the CA has left CREATING.
pub fn until_csr_ready(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    until_status(&context, arn, "its CSR", &[], |status| status != "CREATING")
}

/// Waits until the CA is ACTIVE. A CA that is disabled or has expired does not become ACTIVE by itself, so that is a failure.
pub fn until_active(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    let never = &["DISABLED", "EXPIRED"];
    until_status(&context, arn, "it to be ACTIVE", never, |status| {
        status == "ACTIVE"
    })
}

fn until_status(
    context: &NativeCallContext,
    arn: &str,
    what: &'static str,
    never: &'static [&'static str],
    is_done: fn(&str) -> bool,
) -> Result<(), Thrown> {
    let function = "pca::describe_certificate_authority";
    let look = move |pca: PcaClient, arn: String| async move {
        let authority = pca.describe(&arn).await?;
        let status = authority.status.clone();
        let is_over = matches!(status.as_str(), "FAILED" | "DELETED");
        if is_over || never.contains(&status.as_str()) {
            let why = authority
                .failure_reason
                .map(|reason| format!(" ({reason})"));
            let why = why.unwrap_or_default();
            let message = format!("the certificate authority is {status}{why}");
            return Err(rejected("DescribeCertificateAuthority", &status, message));
        }
        Ok((authority_value(authority), is_done(&status)))
    };
    let is_there = |authority: &Value| {
        let status = authority.field("status").and_then(Value::as_str);
        status.is_some_and(is_done)
    };
    wait(context, function, arn, what, look, is_there).map(|_| ())
}

/// Waits until a certificate is issued and returns `#{ certificate, chain }`.
pub fn until_issued(context: NativeCallContext, ca: &str, arn: &str) -> Result<Dynamic, Thrown> {
    let ca = ca.to_owned();
    let look = move |pca: PcaClient, arn: String| {
        let ca = ca.clone();
        async move {
            match pca.certificate(&ca, &arn).await {
                Ok(signed) => Ok((signed_value(signed), true)),
                Err(failure) if failure.code == "RequestInProgressException" => {
                    Ok((Value::Null, false))
                }
                Err(failure) => Err(failure),
            }
        }
    };
    let is_there = |signed: &Value| *signed != Value::Null;
    let signed = wait(
        &context,
        "pca::get_certificate",
        arn,
        "the certificate",
        look,
        is_there,
    )?;
    Ok(to_dynamic(&signed))
}

/// Waits until an audit report is written and returns `#{ bucket, key, status }`.
pub fn until_audit_report(
    context: NativeCallContext,
    ca: &str,
    id: &str,
) -> Result<Dynamic, Thrown> {
    let ca = ca.to_owned();
    let look = move |pca: PcaClient, id: String| {
        let ca = ca.clone();
        async move {
            let report = pca.audit_report(&ca, &id).await?;
            if report.status == "FAILED" {
                let message =
                    "AWS could not write the report: check whether AWS may write to the bucket";
                let operation = "CreateCertificateAuthorityAuditReport";
                return Err(rejected(operation, "FAILED", message));
            }
            let is_written = report.status != "CREATING";
            Ok((report_value(report), is_written))
        }
    };
    let is_there = |report: &Value| report.field("status") != Some(&"CREATING".into());
    let report = wait(
        &context,
        "pca::describe_audit_report",
        id,
        "the audit report",
        look,
        is_there,
    )?;
    Ok(to_dynamic(&report))
}

/// Repeats `look` until `is_there` accepts its result.
fn wait<F>(
    context: &NativeCallContext,
    function: &'static str,
    about: &str,
    what: &'static str,
    look: impl Fn(PcaClient, String) -> F + Clone + Send + 'static,
    is_there: impl Fn(&Value) -> bool,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<(Value, bool), Failure>> + Send + 'static,
{
    let effects = host(context)?.effects;
    let (mut patience, mut pause) = (Patience::new(PATIENCE), FIRST_PAUSE);
    let mut is_last = false;
    loop {
        let (look, owned) = (look.clone(), about.to_owned());
        let found = call(context, function, about.into(), move |pca| async move {
            match look(pca, owned).await? {
                (_, false) if is_last => {
                    let message = format!(
                        "timed out after {} s while waiting for {what}",
                        PATIENCE.as_secs()
                    );
                    Err(Failure::new(
                        FailureClass::Timeout,
                        "wait",
                        "Timeout",
                        message,
                    ))
                }
                (found, _) => Ok(found),
            }
        })?;
        if is_there(&found) {
            return Ok(found);
        }
        let is_replayed = effects.is_replaying();
        (_, is_last) = patience.take(pause, is_replayed);
        effects.sleep(pause).map_err(interrupt)?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
