//! `csr`: certificate signing requests for local keys.

use rhai::{Map, Module, NativeCallContext};

use super::{
    FuncRegistration, Thrown, arguments::Arguments, on_blocking_thread, perform, rejected,
};
use crate::{
    script::effects::{Call, Class},
    value::{Secret, Value},
    x509::CsrRequest,
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("create").set_into_module(&mut module, create);
    module
}

/// `csr::create(key, #{ subject, dns_names, key_usage, extended_key_usage, is_ca })` gives PEM.
/// An effect, because an ECDSA signature is another one each time.
fn create(context: NativeCallContext, key: Secret, map: Map) -> Result<String, Thrown> {
    const FUNCTION: &str = "csr::create";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = arguments.to_value();
    let subject = arguments.subject("subject")?;
    let request = CsrRequest {
        subject: subject
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        dns_names: arguments.texts("dns_names")?,
        key_usage: arguments.texts("key_usage")?,
        extended_key_usage: arguments.texts("extended_key_usage")?,
        is_ca: arguments.flag("is_ca")?,
    };
    arguments.finish()?;
    let call = Call::new(FUNCTION, Class::Read, record, move |_| async move {
        on_blocking_thread(FUNCTION, move || request.sign(&key))
            .await?
            .map(Value::String)
            .map_err(|e| rejected(FUNCTION, "BadRequest", e))
    });
    Ok(perform(&context, call)?.to_text())
}
