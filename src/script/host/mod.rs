//! The host modules: the namespaces through which a script reaches the outside. One file each.
//!
//! Each module has a table with one row for each function (`function` describes the rows), and the Rust functions behind the
//! rows. A new function is one row and one Rust function: its registration, the checks of its arguments, its class, its
//! undo, its permissions and its documentation come from the row.
//!
//! A host function checks its arguments, builds a [`Call`] and passes it to the gate. It never makes an outside call
//! itself.

mod arguments;
mod aws;
mod base64;
mod csr;
mod exec;
mod file;
mod formats;
pub(super) mod function;
mod hash;
mod http;
mod in_use;
mod key;
mod kube;
mod log;
mod patience;
mod pca;
mod random;
mod register;
mod seal;
mod secret;
pub(super) mod table;
mod time;
mod tls;
mod undo;
mod url;
mod verify;
mod x509;

pub(super) use aws::literal_mistake as aws_mistake;
pub use function::{
    Changing, Doubt, Function, HostModule, Impact, Need, Needs, On, Parameter, Reversible, Rule,
    ScriptType, ValueKind,
};
pub use http::judged_undo;
pub use in_use::{InUse, plain_serial};
pub use pca::{AuthorityUse, authority_use, is_authority};
pub(super) use register::Halt;
pub use seal::{check_answer, lacks_result, sealed_answer};
pub(super) use secret::NAMED_BY_PEOPLE;
pub use table::{MODULES, function, functions, leaves};
pub use undo::{Done, Finding, Reversal, Reversed, WayBack, finding, needs_its_call, reversal};

use std::sync::{Arc, LazyLock};

use rhai::{Dynamic, EvalAltResult, Map, Module, NativeCallContext, Position, Shared};

use super::{
    dynamic::to_dynamic,
    effects::{Call, Effects, Interruption, Stop},
    trace::Trace,
};
use windlass_world::{
    outside::Clients,
    value::{Failure, FailureClass, Value},
};

/// The code of a failure that is the script's own mistake: no call was made.
pub const WRONG_ARGUMENTS: &str = "WrongArguments";

/// The error that host functions throw.
type Thrown = Box<EvalAltResult>;

/// What one attempt of a step may use; host functions find it in the context of their call.
#[derive(Clone)]
pub struct Host {
    pub effects: Arc<dyn Effects>,
    pub clients: Clients,
    /// The restarts of this attempt, which its waits wait for.
    restarts: kube::Restarts,
    /// Receives the lines of the script that run, in a test.
    pub(super) trace: Option<Arc<dyn Trace>>,
}

impl Host {
    pub fn new(effects: Arc<dyn Effects>, clients: Clients) -> Self {
        Self {
            effects,
            clients,
            restarts: kube::Restarts::default(),
            trace: None,
        }
    }

    /// Receives the lines of the script that run.
    pub fn traced(self, trace: Option<Arc<dyn Trace>>) -> Self {
        Self { trace, ..self }
    }
}

static REGISTERED: LazyLock<Vec<(&str, Shared<Module>)>> = LazyLock::new(|| {
    let registered = |module: &'static HostModule| {
        let mut built = Module::new();
        for function in module.functions {
            function.register(&mut built);
        }
        // Without the index and the id, each interpreter would get its own copy: half of the cost of a small step.
        built.build_index().set_id(module.name);
        (module.name, built.into())
    };
    MODULES.iter().map(registered).collect()
});

/// Returns all host modules with their names.
pub(super) fn modules() -> &'static [(&'static str, Shared<Module>)] {
    &REGISTERED
}

fn host(context: &NativeCallContext) -> Result<Host, Thrown> {
    context
        .tag()
        .and_then(|tag| tag.clone().try_cast::<Host>())
        .ok_or_else(|| "host functions work only inside a step".into())
}

/// Passes a call through the gate.
fn perform(context: &NativeCallContext, call: Call) -> Result<Value, Thrown> {
    host(context)?.effects.perform(call).map_err(interrupt)
}

fn interrupt(interruption: Interruption) -> Thrown {
    match interruption {
        Interruption::Failed(failure) => throw(&failure),
        Interruption::Stopped(stop) => terminate(stop),
    }
}

/// Ends the script with an error that no `try`/`catch` can catch.
fn terminate(stop: Stop) -> Thrown {
    EvalAltResult::ErrorTerminated(Dynamic::from(stop), Position::NONE).into()
}

/// Returns a failure as scripts catch it: as a map with readable fields.
fn throw(failure: &Failure) -> Thrown {
    let value = Value::map([
        ("class", failure.class.as_str().into()),
        ("operation", failure.operation.clone().into()),
        ("code", failure.code.clone().into()),
        ("message", failure.message.clone().into()),
        ("request_id", Value::from(failure.request_id.clone())),
        ("hint", Value::from(failure.hint.clone())),
        ("is_unknown", failure.is_unknown.into()),
        ("is_done", failure.is_done.into()),
        (
            "retry_after",
            failure.retry_after.map_or(Value::Null, |seconds| {
                Value::Int(i64::try_from(seconds).unwrap_or(i64::MAX))
            }),
        ),
    ]);
    EvalAltResult::ErrorRuntime(to_dynamic(&value), Position::NONE).into()
}

/// Reads back what [`throw`] threw, also after a script threw it again.
pub(super) fn failure_of(thrown: &Dynamic) -> Option<Failure> {
    let map = thrown.as_map_ref().ok()?;
    let text = |map: &Map, key: &str| map.get(key)?.clone().into_string().ok();
    let flag = |key: &str| map.get(key).is_some_and(|flag| flag.as_bool() == Ok(true));
    Some(Failure {
        class: text(&map, "class")?.parse().ok()?,
        operation: text(&map, "operation")?,
        code: text(&map, "code")?,
        message: text(&map, "message")?,
        request_id: text(&map, "request_id"),
        hint: text(&map, "hint"),
        is_unknown: flag("is_unknown"),
        is_done: flag("is_done"),
        retry_after: map
            .get("retry_after")
            .and_then(|seconds| u64::try_from(seconds.as_int().ok()?).ok()),
    })
}

/// Runs CPU-bound work on a thread where it does not block other tasks.
async fn on_blocking_thread<T: Send + 'static>(
    operation: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Failure::new(
            FailureClass::Unavailable,
            operation,
            "Interrupted",
            "the call was interrupted",
        )
    })
}

pub(super) fn rejected(operation: &str, code: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureClass::Rejected, operation, code, error.to_string())
}
