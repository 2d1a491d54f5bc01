//! `csr`: certificate signing requests for local keys.

use rhai::{Map, Module, NativeCallContext};

use super::{
    FuncRegistration, Thrown, arguments::Arguments, on_blocking_thread, perform, rejected,
};
use crate::{
    script::effects::{Call, Class},
    value::{Failure, Secret, Value},
    x509::{CsrError, CsrRequest},
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("create").set_into_module(&mut module, create);
    module
}

/// `csr::create(key, #{ subject, dns_names, ip_addresses, uris, email_addresses, key_usage,
/// extended_key_usage, is_ca })` gives PEM. An effect, because an ECDSA signature is another one each time.
fn create(context: NativeCallContext, key: Secret, map: Map) -> Result<String, Thrown> {
    const FUNCTION: &str = "csr::create";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = arguments.to_value();
    let request = CsrRequest {
        subject: arguments.subject("subject")?,
        names: arguments.alternative_names()?,
        key_usage: arguments.texts("key_usage")?,
        extended_key_usage: arguments.texts("extended_key_usage")?,
        is_ca: arguments.flag("is_ca")?,
    };
    arguments.finish()?;
    let call = Call::new(FUNCTION, Class::Read, record, move |_| async move {
        on_blocking_thread(FUNCTION, move || request.sign(&key))
            .await?
            .map(Value::String)
            .map_err(refused)
    });
    Ok(perform(&context, call)?.to_text())
}

fn refused(error: CsrError) -> Failure {
    let hint = match &error {
        CsrError::Key(key) => key.hint().map(Into::into),
        _ => None,
    };
    Failure {
        hint,
        ..rejected("csr::create", "BadRequest", error)
    }
}
