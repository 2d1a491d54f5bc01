//! `pca`: AWS Private CA. One function for each operation, and the waits between them.

use std::time::Duration;

use rhai::{Dynamic, FuncRegistration, Map, Module, NativeCallContext};

use super::{Thrown, arguments::Arguments, host, interrupt, perform, rejected, throw};
use crate::{
    outside::{Authority, Issue, NewAuthority, PcaClient, SignedCertificate, Validity},
    script::{
        dynamic::to_dynamic,
        effects::{Call, Class},
        host::failure_of,
    },
    value::{Failure, FailureClass, Value},
    x509::KeyAlgorithm,
};

/// The first pause between two looks; a local server is ready by then.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// AWS takes a few seconds; looking more often than this only uses up the account's rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// AWS is done within seconds; after this something is wrong and a person should look.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn module() -> Module {
    let mut module = Module::new();
    let set = |name: &str| FuncRegistration::new(name);
    let m = &mut module;
    set("create_certificate_authority").set_into_module(m, create);
    set("describe_certificate_authority").set_into_module(m, |c: NativeCallContext, arn: &str| {
        describe(&c, arn).map(|value| to_dynamic(&value))
    });
    set("certificate_authority_csr")
        .set_into_module(m, |c: NativeCallContext, arn: &str| csr(&c, arn));
    set("certificate_authority_certificate").set_into_module(m, authority_certificate);
    set("issue_certificate").set_into_module(m, issue);
    set("get_certificate").set_into_module(m, |c: NativeCallContext, ca: &str, arn: &str| {
        get(&c, ca, arn).map(|value| to_dynamic(&value))
    });
    set("import_certificate_authority_certificate").set_into_module(m, import);
    set("wait_until_csr_ready").set_into_module(m, wait_until_csr_ready);
    set("wait_until_issued").set_into_module(m, wait_until_issued);
    set("wait_until_active").set_into_module(m, wait_until_active);
    module
}

fn client(context: &NativeCallContext) -> Result<PcaClient, Thrown> {
    Ok(host(context)?.clients.pca)
}

/// `pca::create_certificate_authority(#{ type, subject, key_algorithm, signing_algorithm, tags })`
/// gives the new CA's ARN. In doubt, the CA is looked for by its tag.
fn create(context: NativeCallContext, map: Map) -> Result<String, Thrown> {
    const FUNCTION: &str = "pca::create_certificate_authority";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = arguments.to_value();
    let key_algorithm = arguments
        .optional_text("key_algorithm")?
        .unwrap_or_else(|| "RSA_2048".into());
    let default_signing = KeyAlgorithm::parse(&key_algorithm)
        .map_or("SHA256WITHRSA", KeyAlgorithm::signing_algorithm);
    let new = NewAuthority {
        kind: arguments.text("type")?,
        subject: arguments.subject("subject")?,
        signing_algorithm: arguments
            .optional_text("signing_algorithm")?
            .unwrap_or_else(|| default_signing.into()),
        key_algorithm,
        tags: arguments.text_map("tags")?,
    };
    arguments.finish()?;
    let pca = client(&context)?;
    let finder = pca.clone();
    let call = Call::new(FUNCTION, Class::Found, record, move |key| async move {
        pca.create(&new, key.as_str()).await.map(Value::String)
    })
    .or_find(move |key| async move {
        Ok(finder.find_by_key(key.as_str()).await?.map(Value::String))
    });
    Ok(perform(&context, call)?.to_text())
}

fn describe(context: &NativeCallContext, arn: &str) -> Result<Value, Thrown> {
    let (pca, owned) = (client(context)?, arn.to_owned());
    let call = Call::new(
        "pca::describe_certificate_authority",
        Class::Read,
        arn.into(),
        move |_| async move { pca.describe(&owned).await.map(authority_value) },
    );
    perform(context, call)
}

fn authority_value(authority: Authority) -> Value {
    Value::map([
        ("arn", authority.arn.into()),
        ("status", authority.status.into()),
        ("type", authority.kind.into()),
        ("serial", authority.serial.into()),
        ("not_after", authority.not_after.into()),
        ("failure_reason", authority.failure_reason.into()),
    ])
}

fn csr(context: &NativeCallContext, arn: &str) -> Result<String, Thrown> {
    let (pca, owned) = (client(context)?, arn.to_owned());
    let call = Call::new(
        "pca::certificate_authority_csr",
        Class::Read,
        arn.into(),
        move |_| async move { pca.csr(&owned).await.map(Value::String) },
    );
    Ok(perform(context, call)?.to_text())
}

/// Gives `#{ certificate, chain }` of the CA itself.
fn authority_certificate(context: NativeCallContext, arn: &str) -> Result<Dynamic, Thrown> {
    let (pca, owned) = (client(&context)?, arn.to_owned());
    let call = Call::new(
        "pca::certificate_authority_certificate",
        Class::Read,
        arn.into(),
        move |_| async move { pca.authority_certificate(&owned).await.map(signed_value) },
    );
    Ok(to_dynamic(&perform(&context, call)?))
}

/// `pca::issue_certificate(ca, #{ csr, template, validity, signing_algorithm })` gives the ARN of
/// a certificate that is ready later: see `pca::wait_until_issued`.
fn issue(context: NativeCallContext, authority: &str, map: Map) -> Result<String, Thrown> {
    const FUNCTION: &str = "pca::issue_certificate";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let mut record = arguments.to_value();
    if let Value::Map(record) = &mut record {
        record.insert("ca".into(), authority.into());
    }
    let validity = arguments.text("validity")?;
    let issue = Issue {
        authority: authority.into(),
        csr: arguments.text("csr")?,
        signing_algorithm: arguments
            .optional_text("signing_algorithm")?
            .unwrap_or_else(|| "SHA256WITHRSA".into()),
        template: arguments.optional_text("template")?,
        validity: Validity::parse(&validity).map_err(|e| format!("{FUNCTION}: `validity`: {e}"))?,
    };
    arguments.finish()?;
    let pca = client(&context)?;
    let call = Call::new(FUNCTION, Class::Keyed, record, move |key| async move {
        pca.issue(&issue, key.as_str()).await.map(Value::String)
    });
    Ok(perform(&context, call)?.to_text())
}

fn get(context: &NativeCallContext, authority: &str, certificate: &str) -> Result<Value, Thrown> {
    let (pca, ca, arn) = (
        client(context)?,
        authority.to_owned(),
        certificate.to_owned(),
    );
    let call = Call::new(
        "pca::get_certificate",
        Class::Read,
        certificate.into(),
        move |_| async move { pca.certificate(&ca, &arn).await.map(signed_value) },
    );
    perform(context, call)
}

/// AWS gives PEM without a last line end; a chain is made by putting such texts together.
fn signed_value(signed: SignedCertificate) -> Value {
    let whole = |pem: String| if pem.ends_with('\n') { pem } else { pem + "\n" };
    Value::map([
        ("certificate", whole(signed.certificate).into()),
        ("chain", signed.chain.map(whole).into()),
    ])
}

/// `pca::import_certificate_authority_certificate(ca, #{ certificate, chain })`.
fn import(context: NativeCallContext, authority: &str, map: Map) -> Result<(), Thrown> {
    const FUNCTION: &str = "pca::import_certificate_authority_certificate";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let mut record = arguments.to_value();
    if let Value::Map(record) = &mut record {
        record.insert("ca".into(), authority.into());
    }
    let signed = SignedCertificate {
        certificate: arguments.text("certificate")?,
        chain: arguments.optional_text("chain")?,
    };
    arguments.finish()?;
    let (pca, ca) = (client(&context)?, authority.to_owned());
    let call = Call::new(FUNCTION, Class::Keyed, record, move |_| async move {
        pca.import(&ca, &signed).await.map(|()| Value::Null)
    });
    perform(&context, call).map(|_| ())
}

/// Waits until the CA has left CREATING.
fn wait_until_csr_ready(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    wait_for_status(&context, arn, "its CSR", |status| status != "CREATING")
}

/// Waits until the CA is ACTIVE.
fn wait_until_active(context: NativeCallContext, arn: &str) -> Result<(), Thrown> {
    wait_for_status(&context, arn, "it to be ACTIVE", |status| {
        status == "ACTIVE"
    })
}

fn wait_for_status(
    context: &NativeCallContext,
    arn: &str,
    what: &str,
    is_done: impl Fn(&str) -> bool,
) -> Result<(), Thrown> {
    wait(context, what, || {
        let authority = describe(context, arn)?;
        let status = authority
            .field("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if matches!(status, "FAILED" | "DELETED") {
            let reason = authority
                .field("failure_reason")
                .map(Value::to_text)
                .unwrap_or_default();
            let message = format!("the certificate authority is {status} ({reason})");
            return Err(throw(&rejected(
                "DescribeCertificateAuthority",
                status,
                message,
            )));
        }
        Ok(is_done(status).then_some(()))
    })
}

/// Waits until a certificate is there and gives `#{ certificate, chain }`.
fn wait_until_issued(
    context: NativeCallContext,
    authority: &str,
    certificate: &str,
) -> Result<Dynamic, Thrown> {
    let signed = wait(&context, "the certificate", || {
        match get(&context, authority, certificate) {
            Ok(signed) => Ok(Some(signed)),
            Err(thrown) if is_in_progress(&thrown) => Ok(None),
            Err(thrown) => Err(thrown),
        }
    })?;
    Ok(to_dynamic(&signed))
}

fn is_in_progress(thrown: &Thrown) -> bool {
    match &**thrown {
        rhai::EvalAltResult::ErrorRuntime(value, _) => {
            failure_of(value).is_some_and(|f| f.code == "RequestInProgressException")
        }
        _ => false,
    }
}

/// Looks again and again, with growing pauses; each look is an effect of its own, so a long wait
/// survives a restart.
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
