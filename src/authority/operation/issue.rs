//! IssueCertificate.

use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::operation::call::{Call, Guard};
use crate::operation::reply::Reply;
use crate::operation::sign::{Input, Signer, sign};
use crate::options::Quotas;
use crate::revocation;
use crate::rule::arn;
use crate::rule::status::Deed;
use crate::rule::template::Template;
use crate::service::Service;
use crate::store::authority::Authority;
use crate::store::certificate::{Certificate, Issued};
use crate::store::token::Token;
use crate::store::{Coming, certificate, list};

/// The name of the operation, which is the one that is requested a thousand times a second.
pub(crate) const ISSUE: &str = "IssueCertificate";

/// Whether a request repeats another, whose certificate has this serial number, or how far it is itself.
enum Progress<T> {
    Repeats(String),
    New(Box<T>),
}

/// What is known before the signature.
struct Ready {
    signer: Signer,
    guard: Guard,
    issued: Option<Issued>,
}

/// What was written: the serial number of the certificate, or of the one that was issued for the same request, and the list
/// that it is the first to name.
struct Written {
    serial: String,
    opens: Option<Option<String>>,
}

/// Issues a certificate and returns its ARN. The certificate can be read after the issuing delay.
pub(crate) fn issue(call: &Call, coming: Option<Coming>, reply: Reply) {
    let (authority, prepared) = match prepare(call) {
        Ok((authority, Progress::New(prepared))) => (authority, prepared),
        Ok((authority, Progress::Repeats(serial))) => {
            return reply.send(Ok(answer(&authority, &serial)));
        }
        Err(failure) => return reply.send(Err(failure)),
    };
    let service = Arc::downgrade(call.service);
    let done = move |written: Result<Written, Failure>| {
        let Written { serial, opens } = match written {
            Ok(written) => written,
            Err(failure) => return reply.send(Err(failure)),
        };
        let answer = Ok(answer(&authority, &serial));
        // A server that has stopped writes all lists when it starts again.
        if let Some(partition) = opens
            && let Some(service) = service.upgrade()
        {
            publish(service, authority, partition, || reply.send(answer));
        } else {
            reply.send(answer);
        }
    };
    call.service
        .store
        .submit(move |connection| prepared.write(connection), done);
    drop(coming);
}

fn answer(authority: &str, serial: &str) -> Value {
    json!({ "CertificateArn": arn::certificate(authority, serial) })
}

/// Publishes a list on a thread of its own, since the writer must not wait for it, and calls `done`.
fn publish(
    service: Arc<Service>,
    authority: String,
    partition: Option<String>,
    done: impl FnOnce() + Send + 'static,
) {
    let publish = move || {
        revocation::publish_revocation(&service, &authority, partition.as_deref());
        done();
    };
    // Without a thread, the reply is dropped, and the client gets an error.
    let _ = thread::Builder::new().spawn(publish);
}

/// A signed certificate that is not yet written.
struct Prepared {
    ready: Ready,
    template: Template,
    token: Option<Token>,
    certificate: Certificate,
    now: Moment,
}

/// Signs the certificate that a request asks for; gives the ARN of the authority with it.
fn prepare(call: &Call) -> Result<(String, Progress<Prepared>), Failure> {
    let input: Input = call.read()?;
    let template = match &input.template_arn {
        None => Template::DEFAULT,
        Some(text) => Template::of_arn(text, &call.caller.region)?,
    };
    let arn = &input.certificate_authority_arn;
    let idempotency = call.service.options.idempotency;
    let scope = format!("{}/{arn}", call.caller.account);
    let token = Token::of(ISSUE, &scope, &call.input, idempotency);
    let ready = match ready(call, arn, &template, token.as_ref())? {
        Progress::New(ready) => *ready,
        Progress::Repeats(serial) => {
            return Ok((input.certificate_authority_arn, Progress::Repeats(serial)));
        }
    };
    // Signing takes time, so it is done outside any transaction.
    let certificate = sign(call, &input, &template, &ready.signer)?;
    let prepared = Prepared {
        ready,
        template,
        token,
        certificate,
        now: call.now,
    };
    let progress = Progress::New(Box::new(prepared));
    Ok((input.certificate_authority_arn, progress))
}

/// Reads who is to sign, if the request may and needs to be signed.
fn ready(
    call: &Call,
    arn: &str,
    template: &Template,
    token: Option<&Token>,
) -> Result<Progress<Ready>, Failure> {
    call.service.store.read(|connection| {
        let (authority, guard) = call.guarded(connection, arn)?;
        if let Some(token) = token
            && let Some(serial) = token.answer(connection, call.now)?
        {
            return Ok(Progress::Repeats(serial));
        }
        check(&authority, template, call.now)?;
        let key = call.service.key(connection, &authority)?;
        let partition = if template.base.is_root() {
            None
        } else {
            revocation::partition(connection, &authority)?
        };
        let issued = match call.service.options.quotas {
            Quotas::Aws => Some(guard.issued(call.service, connection)?),
            Quotas::Off => None,
        };
        let signer = Signer {
            authority,
            key,
            partition,
        };
        Ok(Progress::New(Box::new(Ready {
            signer,
            guard,
            issued,
        })))
    })
}

impl Prepared {
    /// Writes it, if what was decided on is still so. It checks everything before it changes anything.
    fn write(self, connection: &Connection) -> Result<Written, Failure> {
        let Ready {
            signer,
            guard,
            issued,
        } = self.ready;
        let changed = guard.changed(connection)?;
        if let Some(token) = &self.token
            && let Some(serial) = token.answer(connection, self.now)?
        {
            return Ok(Written {
                serial,
                opens: None,
            });
        }
        // Counted anew if certificates may have been deleted.
        let issued = issued.map(|issued| match &changed {
            Some(_) => Issued::default(),
            None => issued,
        });
        let authority = changed.as_ref().unwrap_or(&*signer.authority);
        check(authority, &self.template, self.now)?;
        if let Some(issued) = issued {
            let most = revocation::most_certificates(authority);
            if issued.until_now(connection, &authority.arn)?.certificates >= most {
                return Err(Code::LimitExceeded.says(format!(
                    "A certificate authority can issue {most} certificates at most"
                )));
            }
        }
        certificate::insert(connection, &authority.arn, &self.certificate)?;
        let partition = self.certificate.partition;
        // A certificate must not name a CRL that does not exist, so the first certificate creates it.
        let is_listed = !self.template.base.is_root() && revocation::publishes(&signer.authority);
        let opens = is_listed && list::bind(connection, &authority.arn, partition.as_deref())?;
        let serial = self.certificate.serial;
        if let Some(token) = &self.token {
            token.remember(connection, &serial, self.now)?;
        }
        Ok(Written {
            serial,
            opens: opens.then_some(partition),
        })
    }
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
