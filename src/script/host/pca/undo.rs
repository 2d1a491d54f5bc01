//! Reverses calls to AWS Private CA.

pub mod before;
mod settings;

use self::settings::{permit, put_policy_back, retag};
use super::{
    super::in_use::{plain_serial, serials_in},
    super::undo::{Done, Finding, Judgement, Reversal, Reversed, WayBack},
    certificate,
};
use crate::effects::EffectKey;
use windlass_world::{
    outside::{Clients, Issue, PcaClient, SignedCertificate},
    value::{Failure, FailureClass, Value},
};

/// The longest time that AWS allows, so that an undo can itself be reverted.
const RESTORE_WITHIN_DAYS: i32 = 30;
/// AWS's reason code for a certificate that an undo revokes.
const REASON: &str = "CESSATION_OF_OPERATION";

/// Looks for a CA by the tag that carries its call's key.
pub fn find_authority(_: &Value, clients: &Clients) -> Finding {
    let pca = clients.pca.clone();
    Finding::By {
        look: Box::new(|key| {
            Box::pin(async move { Ok(pca.find_by_key(key.as_str()).await?.map(Value::String)) })
        }),
        within: None,
    }
}

/// Finds a certificate by repeating its request, as long as AWS remembers the key.
pub fn find_certificate(before: &Value, clients: &Clients) -> Finding {
    let pca = clients.pca.clone();
    match certificate::recorded(before) {
        Some(issue) => Finding::By {
            look: Box::new(|key| Box::pin(issued(pca, issue, key))),
            within: Some(certificate::TOKEN_LIVES),
        },
        None => Finding::Impossible,
    }
}

/// Repeats a request under its key: AWS has no other way to find a certificate.
async fn issued(pca: PcaClient, issue: Issue, key: EffectKey) -> Result<Option<Value>, Failure> {
    let failure = match pca.issue(&issue, key.as_str()).await {
        Ok(arn) => return Ok(Some(arn.into())),
        Err(failure) => failure,
    };
    match status(&pca, &issue.authority).await?.as_str() {
        "ACTIVE" | "DISABLED" | "EXPIRED" => Err(failure),
        // Without its CA, the certificate is not trusted.
        _ => Ok(None),
    }
}

pub fn of_creation(done: Done, clients: &Clients) -> Reversal {
    match done.result.map(Value::to_text) {
        Some(arn) => remove(clients.pca.clone(), arn, |_| true),
        None => Reversal::never(NO_ARN),
    }
}

pub fn of_issue(done: Done, clients: &Clients) -> Reversal {
    match done.result.map(Value::to_text) {
        // AWS does not revoke it; it is deleted with its CA.
        Some(_) if is_self_signed(done.before) => Reversal::Nothing,
        Some(arn) => revoke(clients.pca.clone(), ca(done), arn),
        None => Reversal::never(NO_ARN),
    }
}

const NO_ARN: &str = "its ARN is not known";

pub fn of_import(done: Done, clients: &Clients) -> Reversal {
    import_back(clients.pca.clone(), ca(done), done.before)
}

pub fn of_disabling(done: Done, clients: &Clients) -> Reversal {
    set_enabled(clients.pca.clone(), ca(done), done.before, true)
}

pub fn of_enabling(done: Done, clients: &Clients) -> Reversal {
    set_enabled(clients.pca.clone(), ca(done), done.before, false)
}

/// A CA that was deleted before is not restored: the call changed nothing.
pub fn of_deletion(done: Done, clients: &Clients) -> Reversal {
    if text(done.before, "status") == DELETED {
        Reversal::Nothing
    } else {
        restore(clients.pca.clone(), ca(done))
    }
}

/// Only a CA that was deleted before is deleted again: for any other, the call changed nothing.
pub fn of_restoration(done: Done, clients: &Clients) -> Reversal {
    if text(done.before, "status") == DELETED {
        remove(clients.pca.clone(), ca(done), |status| {
            RESTORED.contains(&status)
        })
    } else {
        Reversal::Nothing
    }
}

/// The statuses that a restored CA can have. It has another one only if somebody has used it since.
const RESTORED: [&str; 5] = [
    "DISABLED",
    "PENDING_CERTIFICATE",
    "EXPIRED",
    "CREATING",
    "FAILED",
];

pub fn of_tags(done: Done, clients: &Clients) -> Reversal {
    retag(clients.pca.clone(), ca(done), done.before)
}

pub fn of_permission(done: Done, clients: &Clients) -> Reversal {
    permit(clients.pca.clone(), ca(done), done.before)
}

pub fn of_policy(done: Done, clients: &Clients) -> Reversal {
    put_policy_back(clients.pca.clone(), ca(done), done.before)
}

pub fn of_revocation(_: Done, _: &Clients) -> Reversal {
    Reversal::never("a revoked certificate stays revoked")
}

pub fn of_audit_report(_: Done, _: &Clients) -> Reversal {
    Reversal::never("the audit report stays in its bucket")
}

fn ca(done: Done) -> String {
    text(done.before, "ca")
}

/// Says whether a certificate was issued by the template for roots, which accepts only the CA's own request.
fn is_self_signed(before: &Value) -> bool {
    let template = certificate::recorded(before).and_then(|issue| issue.template);
    template.is_some_and(|template| {
        let name = template
            .rsplit_once("template/")
            .map_or(&*template, |(_, name)| name);
        name.starts_with("RootCACertificate")
    })
}

fn text(value: &Value, key: &str) -> String {
    value.field(key).map_or_else(String::new, Value::to_text)
}

fn is_gone(failure: &Failure) -> bool {
    failure.code == "ResourceNotFoundException"
}

/// Returns the status of a CA; `DELETED` also if AWS no longer knows the CA.
async fn status(pca: &PcaClient, ca: &str) -> Result<String, Failure> {
    match pca.describe(ca).await {
        Ok(found) => Ok(found.status),
        Err(failure) if is_gone(&failure) => Ok(DELETED.into()),
        Err(failure) => Err(failure),
    }
}

const DELETED: &str = "DELETED";
const CA_IS_DELETED: &str = "its CA is deleted";

/// Returns a way back that reads the CA's status first: for a deleted CA there is nothing to reverse. `look` returns the rest of the
/// current state, which `judge` gets as the field `now`.
fn way_back<L, A>(
    (what, function): (String, &'static str),
    (pca, ca, part): (PcaClient, String, &str),
    look: impl Fn(PcaClient, String) -> L + Send + Sync + 'static,
    judge: impl Fn(&str, &Value) -> Verdict + Send + Sync + 'static,
    act: impl Fn(PcaClient, String, String) -> A + Send + Sync + 'static,
) -> WayBack
where
    L: Future<Output = Result<Value, Failure>> + Send + 'static,
    A: Future<Output = Result<Reversed, Failure>> + Send + 'static,
{
    let (subject, about) = (format!("{part} of {ca}"), Value::from(ca.as_str()));
    let (looker, looked_at) = (pca.clone(), ca.clone());
    WayBack::new(
        what,
        (function, about),
        subject,
        move || {
            let (pca, ca) = (looker.clone(), looked_at.clone());
            let rest = look(pca.clone(), ca.clone());
            async move {
                let status = status(&pca, &ca).await?;
                let now = match status.as_str() {
                    DELETED => Value::Null,
                    _ => rest.await?,
                };
                Ok(Value::map([("status", status.into()), ("now", now)]))
            }
        },
        move |found| {
            let status = text(found, "status");
            let now = found.field("now").unwrap_or(&Value::Null);
            let with = |key: &str, value: Value| match found.clone() {
                Value::Map(mut map) => {
                    map.insert(key.into(), value);
                    Value::Map(map)
                }
                other => other,
            };
            match judge(&status, now) {
                Verdict::Status(then) => Judgement::goes(with("status", then.into())),
                Verdict::Goes(then) => Judgement::goes(with("now", then)),
                Verdict::Already(why) => Judgement::already(why, found),
                Verdict::Left(why) => Judgement::left(why, found),
            }
        },
        move |found, _| act(pca.clone(), ca.clone(), text(&found, "status")),
    )
}

/// The judgement of [`way_back`].
enum Verdict {
    /// The effect is reversed, and the CA's status becomes this.
    Status(&'static str),
    /// The effect is reversed, and the state becomes this.
    Goes(Value),
    Already(&'static str),
    Left(&'static str),
}

/// Compares the current state with what the run left, and with the state before.
fn compared(now: &Value, left: Option<&Value>, before: &Value) -> Verdict {
    if now == before {
        return Verdict::Already("it is already as before the run");
    }
    match left {
        Some(left) if left != now => Verdict::Left("it has been changed since the step ran"),
        // Older journals do not record what was left.
        _ => Verdict::Goes(before.clone()),
    }
}

async fn nothing(_: PcaClient, _: String) -> Result<Value, Failure> {
    Ok(Value::Null)
}

/// `is_as_left` says whether a CA with a status is as the run left it.
fn remove(pca: PcaClient, ca: String, is_as_left: fn(&str) -> bool) -> Reversal {
    let what = format!("disable and delete {ca} (restorable for {RESTORE_WITHIN_DAYS} days)");
    let taken = ca.clone();
    let way = way_back(
        (what, "pca::delete_certificate_authority"),
        (pca, ca, "status"),
        nothing,
        move |status, _| match status {
            DELETED => Verdict::Already("it is deleted"),
            status if is_as_left(status) => Verdict::Status(DELETED),
            _ => Verdict::Left("it has been enabled since the run"),
        },
        |pca, ca, status| async move {
            if status == "ACTIVE" {
                pca.set_enabled(&ca, false).await?;
            }
            pca.delete(&ca, RESTORE_WITHIN_DAYS).await?;
            Ok(Reversed::Done)
        },
    );
    Reversal::By(way.taking([taken]))
}

fn restore(pca: PcaClient, ca: String) -> Reversal {
    Reversal::By(way_back(
        (
            format!("restore {ca}"),
            "pca::restore_certificate_authority",
        ),
        (pca, ca, "status"),
        nothing,
        |status, _| match status {
            DELETED => Verdict::Status("DISABLED"),
            _ => Verdict::Already("it exists"),
        },
        |pca, ca, _| async move { pca.restore(&ca).await.map(|()| Reversed::Done) },
    ))
}

fn revoke(pca: PcaClient, ca: String, certificate: String) -> Reversal {
    // The last part of a certificate's ARN is its serial number in hex.
    let serial = certificate
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let what = format!("revoke certificate {serial}");
    let about = Value::from(certificate.as_str());
    let (taken, used) = (plain_serial(&serial), ca.clone());
    let subject = format!("certificate {serial}");
    // AWS does not report whether a certificate is revoked, so there is no state to read first.
    let way = WayBack::blind(what, "pca::revoke_certificate", about, move |_| {
        revoke_now(pca.clone(), ca.clone(), certificate.clone(), serial.clone())
    });
    let way = way.about(subject).taking([taken]).using(move |_| {
        let used = used.clone();
        async move { Ok(vec![used]) }
    });
    Reversal::By(way)
}

async fn revoke_now(
    pca: PcaClient,
    ca: String,
    certificate: String,
    serial: String,
) -> Result<Reversed, Failure> {
    let failure = match pca.revoke(&ca, &serial, REASON).await {
        Ok(()) => return Ok(Reversed::Done),
        Err(failure) => failure,
    };
    let already = |why: &str| Ok(Reversed::Already(why.into()));
    match failure.code.as_str() {
        "RequestAlreadyProcessedException" => already("it is revoked"),
        _ if is_gone(&failure) => already("its CA no longer exists"),
        "InvalidRequestException" if failure.message.contains("elf-signed") => {
            already("it is self-signed, so it is deleted with its CA")
        }
        // As long as a CA has no certificate, nothing below it is trusted.
        "InvalidStateException" => match status(&pca, &ca).await?.as_str() {
            "ACTIVE" | "DISABLED" => Err(failure),
            _ => already("its CA has no certificate"),
        },
        _ => match pca.certificate(&ca, &certificate).await {
            Err(of_issue) if of_issue.code == "RequestFailedException" => {
                already("it was never issued")
            }
            Err(of_issue) if of_issue.class == FailureClass::Conflict => Err(of_issue),
            _ => Err(failure),
        },
    }
}

fn import_back(pca: PcaClient, ca: String, before: &Value) -> Reversal {
    let optional = |key: &str| before.field(key).filter(|value| **value != Value::Null);
    let signed = optional("certificate").map(|certificate| SignedCertificate {
        certificate: certificate.to_text(),
        chain: optional("chain").map(Value::to_text),
    });
    let left = optional("writes").map(|written| pem(&written.to_text()));
    let was = signed
        .as_ref()
        .map_or(Value::Null, |signed| pem(&signed.certificate));
    let what = match signed {
        Some(_) => format!("import the earlier certificate of {ca}"),
        None => format!("disable {ca} (AWS can't remove a certificate)"),
    };
    let function = match signed {
        Some(_) => "pca::import_certificate_authority_certificate",
        None => "pca::disable_certificate_authority",
    };
    let disables = signed.is_none();
    let (taken, made) = (ca.clone(), left.clone());
    let way = way_back(
        (what, function),
        (pca, ca, "certificate"),
        |pca, ca| async move {
            let found = before::signed(&pca, &ca).await?;
            Ok(found.map_or(Value::Null, |signed| pem(&signed.certificate)))
        },
        move |status, now| match (status, compared(now, left.as_ref(), &was)) {
            (DELETED, _) => Verdict::Already(CA_IS_DELETED),
            (_, Verdict::Goes(_)) if disables && status == "ACTIVE" => Verdict::Status("DISABLED"),
            (_, Verdict::Goes(_)) if disables => Verdict::Already("the CA is not active"),
            (_, verdict) => verdict,
        },
        move |pca, ca, _| {
            let signed = signed.clone();
            async move {
                match signed {
                    Some(signed) => pca.import(&ca, &signed).await?,
                    None => pca.set_enabled(&ca, false).await?,
                }
                Ok(Reversed::Done)
            }
        },
    );
    let of_made = made.as_ref().map(Value::to_text).unwrap_or_default();
    let taken_too = serials_in(of_made.as_bytes());
    let way = way.taking([taken.clone()]).taking(taken_too);
    Reversal::By(way.using(move |found| {
        let (ca, made) = (taken.clone(), made.clone());
        async move {
            let now = text(&found, "now");
            let mut used = serials_in(now.as_bytes());
            // Left as the run made it, because something uses its certificate: then the CA is in use, too.
            if made.is_some_and(|made| made.to_text() == now) {
                used.push(ca);
            }
            Ok(used)
        }
    }))
}

/// Returns a certificate in a form that can be compared: AWS changes the line ends of PEM.
fn pem(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").into()
}

fn set_enabled(pca: PcaClient, ca: String, before: &Value, is_enabled: bool) -> Reversal {
    let (wanted, left, what) = if is_enabled {
        ("ACTIVE", "DISABLED", format!("enable {ca}"))
    } else {
        ("DISABLED", "ACTIVE", format!("disable {ca}"))
    };
    if text(before, "status") != wanted {
        return Reversal::Nothing;
    }
    Reversal::By(way_back(
        (what, "pca::update_certificate_authority"),
        (pca, ca, "status"),
        nothing,
        move |status, _| match status {
            DELETED => Verdict::Already(CA_IS_DELETED),
            status if status == wanted => Verdict::Already("it is already as before the run"),
            status if status == left => Verdict::Status(wanted),
            _ => Verdict::Left("it is neither active nor disabled"),
        },
        move |pca, ca, _| async move {
            pca.set_enabled(&ca, is_enabled).await?;
            Ok(Reversed::Done)
        },
    ))
}
