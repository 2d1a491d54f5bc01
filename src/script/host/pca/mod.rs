//! `pca`: AWS Private CA. One function for each operation, and the waits between them.
//!
//! - `authority`: CAs and their status, tags, deletion;
//! - `certificate`: issuing, fetching, importing, revoking;
//! - `access`: permissions, policies, audit reports;
//! - `wait`: looking again until something is so;
//! - `undo`: what reverses a call.

mod access;
mod authority;
mod certificate;
mod undo;
mod wait;

pub(super) use undo::{finding, reversal};

use rhai::{Module, NativeCallContext};

use super::{FuncRegistration, Thrown, host, perform};
use crate::{
    outside::PcaClient,
    script::effects::{Call, Class},
    value::{Failure, Value},
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    let m = &mut module;
    let set = |name: &str| FuncRegistration::new(name);
    set("create_certificate_authority").set_into_module(m, authority::create);
    set("describe_certificate_authority").set_into_module(m, authority::describe_dynamic);
    set("list_certificate_authorities").set_into_module(m, authority::list);
    set("certificate_authority_csr").set_into_module(m, authority::csr);
    set("certificate_authority_certificate").set_into_module(m, authority::certificate);
    set("disable_certificate_authority").set_into_module(m, authority::disable);
    set("enable_certificate_authority").set_into_module(m, authority::enable);
    set("delete_certificate_authority").set_into_module(m, authority::delete);
    set("restore_certificate_authority").set_into_module(m, authority::restore);
    set("list_tags").set_into_module(m, authority::tags);
    set("tag_certificate_authority").set_into_module(m, authority::tag);
    set("untag_certificate_authority").set_into_module(m, authority::untag);
    set("issue_certificate").set_into_module(m, certificate::issue);
    set("get_certificate").set_into_module(m, certificate::get_dynamic);
    set("import_certificate_authority_certificate").set_into_module(m, certificate::import);
    set("revoke_certificate").set_into_module(m, certificate::revoke);
    set("create_audit_report").set_into_module(m, access::create_audit_report);
    set("describe_audit_report").set_into_module(m, access::describe_audit_report);
    set("create_permission").set_into_module(m, access::create_permission);
    set("delete_permission").set_into_module(m, access::delete_permission);
    set("list_permissions").set_into_module(m, access::list_permissions);
    set("put_policy").set_into_module(m, access::put_policy);
    set("get_policy").set_into_module(m, access::get_policy);
    set("delete_policy").set_into_module(m, access::delete_policy);
    set("wait_until_csr_ready").set_into_module(m, wait::until_csr_ready);
    set("wait_until_issued").set_into_module(m, wait::until_issued);
    set("wait_until_active").set_into_module(m, wait::until_active);
    set("wait_until_audit_report").set_into_module(m, wait::until_audit_report);
    module
}

/// Makes one effect of a call to the client.
fn call<F>(
    context: &NativeCallContext,
    function: &'static str,
    class: Class,
    record: Value,
    act: impl FnOnce(PcaClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let pca = host(context)?.clients.pca;
    perform(
        context,
        Call::new(function, class, record, move |_| act(pca)),
    )
}

/// As [`call`], for a call that an undo can reverse: `before` looks at what was there.
fn reversible<F, B>(
    context: &NativeCallContext,
    function: &'static str,
    record: Value,
    before: impl FnOnce(PcaClient) -> B + Send + 'static,
    act: impl FnOnce(PcaClient) -> F + Send + 'static,
) -> Result<(), Thrown>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
    B: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let pca = host(context)?.clients.pca;
    let looker = pca.clone();
    let call = Call::new(function, Class::Keyed, record, move |_| {
        let doing = act(pca);
        async move { doing.await.map(|()| Value::Null) }
    })
    .remembering(move || before(looker));
    perform(context, call).map(|_| ())
}

/// The record of a call about a CA: its ARN and whatever else was given.
fn record(authority: &str, mut given: Value) -> Value {
    if let Value::Map(map) = &mut given {
        map.insert("ca".into(), authority.into());
    }
    given
}
