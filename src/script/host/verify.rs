//! `x509::verify`: checks whether a certificate leads to a root.

use rhai::{Dynamic, Map, NativeCallContext};
use time::OffsetDateTime;

use super::{
    Thrown,
    arguments::{Arguments, refuse},
    function::{
        Function, Gives,
        Impact::Records,
        Needs, Parameter,
        ValueKind::{self, Bool, Either, List, Record, Text, Word},
        optional, required,
    },
    on_blocking_thread, perform,
};
use crate::{
    dynamic::to_dynamic,
    effects::{Call, Clock},
};
use windlass_world::{
    value::Value,
    x509::{PeerName, Purpose, Verdict, Verification},
};

const PEM: ValueKind = Either(&[Text, ValueKind::Secret]);

const QUESTION: &[Parameter] = &[
    required(
        "leaf",
        PEM,
        "the certificate, PEM; certificates after it are part of the chain",
    ),
    optional("chain", PEM, "the intermediates, in any order"),
    required("roots", PEM, "the trusted certificates"),
    required(
        "purpose",
        Word(Purpose::NAMES),
        "with `ca`, whether a certificate issued by it would verify",
    ),
    optional(
        "name",
        Text,
        "a host, an IP address or a URI that the certificate must have; `spiffe://td/` matches every URI below it",
    ),
    optional("at", Text, "the time, RFC 3339; by default now"),
];
const VERDICT: &[Parameter] = &[
    required("ok", Bool, ""),
    required("error", Text, "why it does not verify"),
    required(
        "chain",
        List(&Text),
        "the subjects of the chain that was found, the root last",
    ),
];

pub(super) const VERIFY: Function = Function {
    name: "x509::verify",
    about: "Returns whether a certificate chains to a trusted root. A chain that does not verify is a result; PEM that can't be read is a failure that names the block. Any valid path counts; OpenSSL and Envoy try only the first certificate of a name, so with several of one name their order in a bundle may matter to them. Revocation and certificate policies are not checked.",
    takes: &[required("question", Record(QUESTION), "")],
    gives: Gives::new(Record(VERDICT), ""),
    does: Records,
    needs: Needs::Nothing,
    example: "let verdict = x509::verify(#{ leaf: inputs.certificate, roots: inputs.roots, purpose: \"server\" });",
    bind: |b| b.with(verify),
};

/// Implements `x509::verify(#{ leaf, chain, roots, purpose, name, at })`: returns `#{ ok, error, chain }`. It is an effect
/// because it reads the clock.
fn verify(context: NativeCallContext, map: Map) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "x509::verify";
    let mut arguments = Arguments::new(FUNCTION, map)?;
    let record = arguments.to_value();
    let leaf = arguments.required_secret("leaf")?;
    let chain = arguments.optional_secret("chain")?;
    let roots = arguments.required_secret("roots")?;
    let purpose = arguments.text("purpose")?;
    let name = arguments.optional_text("name")?;
    let at = arguments.optional_time("at")?;
    arguments.finish()?;
    let purpose = purpose.parse().map_err(|_| {
        let known = Purpose::NAMES.join(", ");
        refuse(
            FUNCTION,
            format!("`purpose` must be one of {known}, not `{purpose}`"),
        )
    })?;
    let name = name.map(|name| PeerName::parse(&name)).transpose();
    let name = name.map_err(|e| refuse(FUNCTION, format!("`name`: {e}")))?;
    let chain = chain.as_ref().map_or("", |chain| chain.reveal());
    // Invalid input is rejected before the call.
    let mut question = Verification::new(
        leaf.reveal(),
        chain,
        roots.reveal(),
        purpose,
        name,
        at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
    )
    .map_err(|e| refuse(FUNCTION, e))?;
    let clock = Clock::default();
    let read = clock.clone();
    let call = Call::of(FUNCTION, record, move |_| async move {
        on_blocking_thread(FUNCTION, move || {
            question.at = at.unwrap_or_else(|| read.now());
            verdict_value(question.verdict())
        })
        .await
    })
    .reading(clock);
    Ok(to_dynamic(&perform(&context, call)?))
}

fn verdict_value(verdict: Verdict) -> Value {
    Value::map([
        ("ok", verdict.error.is_none().into()),
        ("error", verdict.error.unwrap_or_default().into()),
        ("chain", verdict.chain.into()),
    ])
}
