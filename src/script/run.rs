use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rhai::{ASTNode, CallFnOptions, Dynamic, Scope};
use serde::{Deserialize, Serialize};

use super::{
    dynamic::{from_dynamic, to_dynamic},
    effects::{Level, Stop},
    error::{explain, place_of},
    host::Host,
    interpreter,
    limits::{self, STEP},
    script::Script,
    trace,
};
use windlass_world::value::{Place, StepError, Value};

/// How often a running script checks whether it should stop: a check at every operation would double the
/// time of a loop; one in 1,024 costs little and still reacts within microseconds.
const OPERATIONS_PER_LOOK: u64 = 1024;

/// The limits that end a script from outside.
#[derive(Clone, Default)]
pub struct Limits {
    pub cancelled: Arc<AtomicBool>,
    pub timeout: Option<Duration>,
}

/// How a run judges what a script gets and returns: runs of earlier versions judge less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Ints become floats where the script declares floats.
    #[serde(default)]
    pub widens: bool,
    /// An expression reads the outputs, so an inline body must end with a map, or with nothing. The last value of a body that nothing reads is
    /// often just the result of its last call.
    #[serde(default)]
    pub is_read: bool,
}

/// How an attempt ended if it has no outputs.
#[derive(Debug, PartialEq)]
pub enum Ended {
    Failed(StepError),
    /// Stopped, with the place of the call that was stopped, if any.
    Stopped(Stop, Option<Place>),
}

impl From<StepError> for Ended {
    fn from(error: StepError) -> Self {
        Self::Failed(error)
    }
}

/// Runs `fn run(inputs)` of a script (or an inline body) on this thread and returns its outputs.
///
/// # Errors
/// [`Ended::Failed`] with the place in the script; [`Ended::Stopped`] when it was stopped.
/// A panic inside Rhai is returned as an ordinary failure.
pub fn run(
    script: &Script,
    inputs: BTreeMap<String, Value>,
    rules: Rules,
    host: Host,
    limits: &Limits,
) -> Result<BTreeMap<String, Value>, Ended> {
    let inputs = match &script.inputs {
        Some(signature) => signature.bind(inputs, rules.widens)?,
        None => Value::Map(inputs),
    };
    let returned = evaluate(script, host, limits, |engine| {
        let mut scope = Scope::new();
        if script.is_inline {
            scope.push_dynamic("inputs", to_dynamic(&inputs));
            engine.eval_ast_with_scope::<Dynamic>(&mut scope, &script.ast)
        } else {
            let options = CallFnOptions::new().eval_ast(true);
            let arguments = (to_dynamic(&inputs),);
            engine.call_fn_with_options(options, &mut scope, &script.ast, "run", arguments)
        }
    })?;
    outputs(script, rules, &returned).map_err(|error| {
        let place = error.place.is_none().then(|| end_of(script)).flatten();
        error.at(place).into()
    })
}

/// Returns the place of the last statement, whose value is the outputs.
fn end_of(script: &Script) -> Option<Place> {
    let mut only = script.ast.clone();
    if script.is_inline {
        only.clear_functions();
    } else {
        only.clear_statements();
        only.retain_functions(|_, _, name, params| name == "run" && params == 1);
    }
    let mut last = None;
    only.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(statement)] = path {
            last = Some(statement.position());
        }
        true
    });
    place_of(script, &script.path, last?)
}

/// Runs `fn undo(inputs, outputs)` of a script that [`Script::has_undo`].
///
/// # Errors
/// As [`run`].
pub fn run_undo(
    script: &Script,
    inputs: &Value,
    outputs: &Value,
    rules: Rules,
    host: Host,
    limits: &Limits,
) -> Result<(), Ended> {
    let mut inputs = inputs.clone();
    // The inputs were checked when the script ran; the script may declare other ones since then.
    if let (Some(signature), Value::Map(inputs)) = (&script.inputs, &mut inputs) {
        signature.complete(inputs);
        if rules.widens {
            signature.widen(inputs);
        }
    }
    evaluate(script, host, limits, |engine| {
        let options = CallFnOptions::new().eval_ast(true);
        let arguments = (to_dynamic(&inputs), to_dynamic(outputs));
        engine.call_fn_with_options(options, &mut Scope::new(), &script.ast, "undo", arguments)
    })
    .map(|_| ())
}

fn evaluate(
    script: &Script,
    host: Host,
    limits: &Limits,
    body: impl FnOnce(&rhai::Engine) -> Result<Dynamic, Box<rhai::EvalAltResult>>,
) -> Result<Dynamic, Ended> {
    let mut engine = interpreter::step_interpreter();
    engine.set_module_resolver(script.imports.clone());
    // Prints as `log::info` does.
    let (said, debugged) = (host.effects.clone(), host.effects.clone());
    engine.on_print(move |text| said.note(Level::Info, text.to_owned()));
    engine.on_debug(move |text, _, _| debugged.note(Level::Info, text.to_owned()));
    if let Some(told) = &host.trace {
        trace::watch(&mut engine, script, told.clone());
    }
    engine.set_default_tag(Dynamic::from(host));
    watch(&mut engine, limits.clone());
    match limits::within(STEP, || catch_unwind(AssertUnwindSafe(|| body(&engine)))) {
        Ok(Ok(returned)) => Ok(returned),
        Ok(Err(error)) => Err(match explain(script, *error) {
            Ok(error) => Ended::Failed(error),
            Err((stop, place)) => Ended::Stopped(stop, place),
        }),
        Err(_) => {
            let error = StepError::new("engine-broke", "the interpreter failed on this script")
                .with_hint(
                    "this is a bug in windlass; to continue, change the script and run `windlass resume --edited`",
                );
            Err(error.into())
        }
    }
}

/// The hint for a body whose value is not a map, and is read.
const READ_BODY: &str = "end the body with a map, `#{ name: value }`, and read `steps.STEP.name`; `()` at its end gives no outputs";

fn outputs(
    script: &Script,
    rules: Rules,
    returned: &Dynamic,
) -> Result<BTreeMap<String, Value>, StepError> {
    let value = from_dynamic(returned)
        .map_err(|e| StepError::new("wrong-output", format!("the script's result: {e}")))?;
    let outputs = match value {
        Value::Map(map) => map,
        Value::Null => BTreeMap::new(),
        _ if script.is_inline && !rules.is_read => BTreeMap::new(),
        other => {
            let kind = other.a_kind();
            let (message, hint) = if script.is_inline {
                (
                    format!(
                        "the body ends with {kind}, not with a map, and an expression reads its outputs"
                    ),
                    READ_BODY,
                )
            } else {
                (
                    format!("the script returned {kind}, not a map of outputs"),
                    "end `fn run` with a map: `#{ name: value }`",
                )
            };
            return Err(StepError::new("wrong-output", message).with_hint(hint));
        }
    };
    match &script.outputs {
        Some(signature) => signature.fit_outputs(outputs, rules.widens),
        None => Ok(outputs),
    }
}

fn watch(engine: &mut rhai::Engine, limits: Limits) {
    let deadline = limits
        .timeout
        .map(|timeout| (Instant::now() + timeout, timeout));
    engine.on_progress(move |operations| {
        if let Some(exceeded) = limits::exceeded() {
            return Some(Dynamic::from(exceeded));
        }
        if !operations.is_multiple_of(OPERATIONS_PER_LOOK) {
            return None;
        }
        if limits.cancelled.load(Ordering::Relaxed) {
            return Some(Dynamic::from(Stop::Cancelled));
        }
        match deadline {
            Some((at, timeout)) if Instant::now() >= at => {
                Some(Dynamic::from(Stop::TimedOut(timeout)))
            }
            _ => None,
        }
    });
}
