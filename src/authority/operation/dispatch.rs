//! Selects the code of an operation, after rate limits and faults.

use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::fault::{self, Effect};
use crate::operation::call::{Call, Caller};
use crate::operation::{
    certificate, create, csr, delete, describe, import, issue, list, permission, policy, report,
    revoke, tag, update,
};
use crate::options::Quotas;
use crate::service::Service;
use crate::wire::request::Request;

/// Carries out one request.
pub(crate) fn perform(
    service: &Service,
    caller: Caller,
    request: Request,
) -> Result<Value, Failure> {
    let options = &service.options;
    let operation = request.operation;
    let now = options.clock.now();
    let who = format!("{}/{}", caller.account, caller.region);
    if options.quotas == Quotas::Aws && !service.throttle.admits(&who, operation, now) {
        return Err(Code::Throttling.says("Rate exceeded"));
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
    let injected = |code: Code| Err(code.says(format!("Injected fault: {code}")));
    match effect {
        Some(Effect::Refuse(code)) => injected(code),
        Some(Effect::LoseAnswer(code)) => run(&call).and_then(|_| injected(code)),
        Some(Effect::FailLater) | None => run(&call),
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
        "IssueCertificate" => issue::issue(call),
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
