//! Selects the code of an operation, after rate limits and faults.

use std::sync::Arc;

use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::fault::{self, Effect};
use crate::operation::call::{Call, Caller};
use crate::operation::issue::ISSUE;
use crate::operation::reply::{Reply, injected};
use crate::operation::{
    certificate, create, csr, delete, describe, import, issue, list, permission, policy, report,
    revoke, tag, update,
};
use crate::options::Quotas;
use crate::service::Service;
use crate::store::Coming;
use crate::wire::request::Request;

/// Returns whether an operation needs only the processor: it reads a few rows, or does not wait for its write.
pub(crate) fn is_short(operation: &str) -> bool {
    ["Get", "Describe", "List", ISSUE]
        .iter()
        .any(|start| operation.starts_with(start))
}

/// Carries out one request. `coming` announces its write.
pub(crate) fn perform(
    service: &Arc<Service>,
    caller: Caller,
    request: Request,
    coming: Option<Coming>,
    reply: Reply,
) {
    let options = &service.options;
    let operation = request.operation;
    let now = options.clock.now();
    if options.quotas == Quotas::Aws {
        let who = format!("{}/{}", caller.account, caller.region);
        if !service.throttle.admits(&who, operation, now) {
            return reply.send(Err(Code::Throttling.says("Rate exceeded")));
        }
    }
    let effect = fault::strike(&options.faults, operation, fault::draw);
    let call = Call {
        service,
        operation,
        caller,
        input: request.input,
        now,
        fails_later: effect == Some(Effect::FailLater),
    };
    let reply = match effect {
        Some(Effect::Refuse(code)) => return reply.send(Err(injected(code))),
        Some(Effect::LoseAnswer(code)) => reply.losing(code),
        Some(Effect::FailLater) | None => reply,
    };
    match operation {
        ISSUE => issue::issue(&call, coming, reply),
        _ => reply.send(run(&call)),
    }
}

fn run(call: &Call) -> Result<Value, Failure> {
    match call.operation {
        "CreateCertificateAuthority" => create::create(call),
        "CreateCertificateAuthorityAuditReport" => report::create(call),
        "CreatePermission" => permission::create(call),
        "DeleteCertificateAuthority" => delete::delete(call),
        "DeletePermission" => permission::delete(call),
        "DeletePolicy" => policy::delete(call),
        "DescribeCertificateAuthority" => describe::describe(call),
        "DescribeCertificateAuthorityAuditReport" => report::describe(call),
        "GetCertificate" => certificate::certificate(call),
        "GetCertificateAuthorityCertificate" => import::certificate(call),
        "GetCertificateAuthorityCsr" => csr::csr(call),
        "GetPolicy" => policy::get(call),
        "ImportCertificateAuthorityCertificate" => import::import(call),
        "ListCertificateAuthorities" => list::list(call),
        "ListPermissions" => permission::list(call),
        "ListTags" => tag::list(call),
        "PutPolicy" => policy::put(call),
        "RestoreCertificateAuthority" => delete::restore(call),
        "RevokeCertificate" => revoke::revoke(call),
        "TagCertificateAuthority" => tag::tag(call),
        "UntagCertificateAuthority" => tag::untag(call),
        "UpdateCertificateAuthority" => update::update(call),
        _ => Err(Code::UnknownOperation.says("The requested operation is not known")),
    }
}
