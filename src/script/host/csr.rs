//! `csr`: certificate signing requests for local keys.

use rhai::{Map, NativeCallContext};

use super::{
    Thrown,
    arguments::Arguments,
    function::{
        Function, Gives,
        Impact::Records,
        Needs, Parameter,
        ValueKind::{self, Bool, List, Record, Text, Word},
        optional, preset, required,
    },
    on_blocking_thread, perform, rejected,
};
use crate::effects::Call;
use windlass_world::{
    value::{Failure, Secret, Value},
    x509::{CsrError, CsrRequest, EXTENDED_KEY_USAGES, KEY_USAGES},
};

const OPTIONS: &[Parameter] = &[
    optional(
        "subject",
        ValueKind::Subject,
        "by attributes such as `common_name` and `organization`",
    ),
    optional("dns_names", List(&Text), ""),
    optional("ip_addresses", List(&Text), ""),
    optional("uris", List(&Text), "such as `spiffe://…`"),
    optional("email_addresses", List(&Text), ""),
    optional("key_usage", List(&Word(&KEY_USAGES)), ""),
    optional("extended_key_usage", List(&Word(&EXTENDED_KEY_USAGES)), ""),
    preset(
        "is_ca",
        Bool,
        "false",
        "whether to request a CA certificate",
    ),
];

pub(super) static TABLE: [Function; 1] = [Function {
    name: "csr::create",
    about: "Creates a certificate signing request for a key; a replay returns the same one.",
    takes: &[
        required("key", ValueKind::Secret, "the private key, PEM"),
        required("options", Record(OPTIONS), ""),
    ],
    gives: Gives::new(Text, "PEM"),
    does: Records,
    needs: Needs::Nothing,
    example: "let csr = csr::create(inputs.key, #{ subject: #{ common_name: \"x\" }, dns_names: [\"x.example\"] });",
    bind: |b| b.with(create),
}];

/// Implements `csr::create(key, #{ subject, dns_names, ip_addresses, uris, email_addresses, key_usage,
/// extended_key_usage, is_ca })`; returns PEM. It is an effect because each ECDSA signature is different.
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
    let call = Call::of(FUNCTION, record, move |_| async move {
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
