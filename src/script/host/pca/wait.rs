//! Looking again until something is so, with growing pauses. Each look is an effect of its own,
//! so a long wait survives a restart.

use std::time::Duration;

use rhai::{Dynamic, NativeCallContext};

use super::{
    super::{Thrown, failure_of, host, interrupt, rejected, throw},
    access, authority, certificate,
};
use crate::{
    script::dynamic::to_dynamic,
    value::{Failure, FailureClass, Value},
};

/// The first pause between two looks; a local server is ready by then.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// AWS takes a few seconds; looking more often than this only uses up the account's rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// AWS is done within seconds; after this something is wrong and a person should look.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until the CA has left CREATING.
pub fn until_csr_ready(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    until_status(&context, arn, "its CSR", |status| status != "CREATING")
}

/// Waits until the CA is ACTIVE.
pub fn until_active(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    until_status(&context, arn, "it to be ACTIVE", |status| {
        status == "ACTIVE"
    })
}

fn until_status(
    context: &NativeCallContext,
    arn: &str,
    what: &str,
    is_done: impl Fn(&str) -> bool,
) -> Result<(), Thrown> {
    wait(context, what, || {
        let authority = authority::describe(context, arn)?;
        let text = |key: &str| authority.field(key).map(Value::to_text).unwrap_or_default();
        let status = text("status");
        if matches!(status.as_str(), "FAILED" | "DELETED") {
            let message = format!(
                "the certificate authority is {status} ({})",
                text("failure_reason")
            );
            return Err(throw(&rejected(
                "DescribeCertificateAuthority",
                &status,
                message,
            )));
        }
        Ok(is_done(&status).then_some(()))
    })
}

/// Waits until a certificate is there and gives `#{ certificate, chain }`.
pub fn until_issued(context: NativeCallContext, ca: &str, arn: &str) -> Result<Dynamic, Thrown> {
    let signed = wait(&context, "the certificate", || {
        match certificate::get(&context, ca, arn) {
            Ok(signed) => Ok(Some(signed)),
            Err(thrown) if is_in_progress(&thrown) => Ok(None),
            Err(thrown) => Err(thrown),
        }
    })?;
    Ok(to_dynamic(&signed))
}

/// Waits until an audit report is written and gives `#{ bucket, key, status }`.
pub fn until_audit_report(
    context: NativeCallContext,
    ca: &str,
    id: &str,
) -> Result<Dynamic, Thrown> {
    let report = wait(&context, "the audit report", || {
        let report = access::audit_report(&context, ca, id)?;
        match report.field("status").and_then(Value::as_str) {
            Some("CREATING") => Ok(None),
            Some("FAILED") => {
                let message = "AWS could not write the report: may it write to the bucket?";
                Err(throw(&rejected(
                    "CreateCertificateAuthorityAuditReport",
                    "FAILED",
                    message,
                )))
            }
            _ => Ok(Some(report)),
        }
    })?;
    Ok(to_dynamic(&report))
}

fn is_in_progress(thrown: &Thrown) -> bool {
    match &**thrown {
        rhai::EvalAltResult::ErrorRuntime(value, _) => {
            failure_of(value).is_some_and(|f| f.code == "RequestInProgressException")
        }
        _ => false,
    }
}

fn wait<T>(
    context: &NativeCallContext,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Thrown>,
) -> Result<T, Thrown> {
    let effects = host(context)?.effects;
    let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if waited >= PATIENCE {
            let message = format!("waited {} s for {what}", waited.as_secs());
            return Err(throw(&Failure::new(
                FailureClass::Timeout,
                "wait",
                "Timeout",
                message,
            )));
        }
        effects.sleep(pause).map_err(interrupt)?;
        waited += pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
