//! `exec`: programs, as far as the target allows them by name.

use std::collections::BTreeMap;

use rhai::{Array, Dynamic, Map, Module, NativeCallContext};

use super::{
    FuncRegistration, Thrown,
    arguments::{Arguments, refuse},
    host, perform,
    undo::{Done, Reversal, Reversed, WayBack},
};
use crate::{
    outside::{Exited, Invocation, OutputFolder, Programs},
    script::{
        dynamic::{from_dynamic, to_dynamic},
        effects::{Call, Class, EffectKey},
    },
    value::{Failure, Secret, Value, parse_duration},
};

const FUNCTION: &str = "exec::run";
/// Tells a program which effect it is, so that it can be made to do nothing twice.
const KEY_VARIABLE: &str = "WINDLASS_EFFECT_KEY";

pub(super) fn module() -> Module {
    let mut module = Module::new();
    FuncRegistration::new("run").set_into_module(
        &mut module,
        |context: NativeCallContext, program: &str, arguments: Array| {
            run(&context, program, arguments, Map::new())
        },
    );
    FuncRegistration::new("run").set_into_module(
        &mut module,
        |context: NativeCallContext, program: &str, arguments: Array, options: Map| {
            run(&context, program, arguments, options)
        },
    );
    module
}

/// `exec::run("istioctl", ["analyze"], #{ stdin, env, timeout, expect, read, idempotent,
/// secret_output, undo })` gives `#{ code, stdout, stderr }`.
fn run(
    context: &NativeCallContext,
    program: &str,
    arguments: Array,
    options: Map,
) -> Result<Dynamic, Thrown> {
    let wrong = |e: String| refuse(FUNCTION, e);
    let given = from_dynamic(&Dynamic::from(options.clone())).map_err(|e| wrong(e.to_string()))?;
    let listed = from_dynamic(&arguments.into()).map_err(|e| wrong(e.to_string()))?;
    let clients = host(context)?.clients;
    let mut options = Arguments::new(FUNCTION, options)?;
    let timeout = match options.optional_text("timeout")? {
        Some(text) => Some(parse_duration(&text).map_err(|e| wrong(format!("`timeout`: {e}")))?),
        None => None,
    };
    let invocation = Invocation {
        program: program.into(),
        arguments: texts(&listed).map_err(wrong)?,
        stdin: options.optional_secret("stdin")?,
        variables: options.secret_map("env")?,
        timeout,
        expected: codes(options.optional("expect")).map_err(wrong)?,
        folder: clients.files.root().to_owned(),
    };
    let class = match (options.flag("read")?, options.flag("idempotent")?) {
        (true, _) => Class::Read,
        (false, true) => Class::Keyed,
        (false, false) => Class::Unsure,
    };
    let is_secret = options.flag("secret_output")?;
    let undo = options.optional("undo").unwrap_or(Value::Null);
    options.finish()?;
    if undo != Value::Null && texts(&undo).map_or(true, |texts| texts.is_empty()) {
        return Err(wrong(
            "`undo` is a list: the program and its arguments".into(),
        ));
    }
    let record = Value::map([
        ("program", program.into()),
        ("arguments", listed),
        ("options", given),
    ]);
    let mut call = Call::new(FUNCTION, class, record, move |key| {
        start(clients.programs, invocation, key, is_secret)
    })
    .cancellable();
    if undo != Value::Null {
        call = call.remembering(move || async move { Ok(undo) });
    }
    Ok(to_dynamic(&perform(context, call)?))
}

async fn start(
    programs: Programs,
    mut invocation: Invocation,
    key: EffectKey,
    is_secret: bool,
) -> Result<Value, Failure> {
    let key = Secret::new(key.as_str());
    invocation.variables.insert(KEY_VARIABLE.into(), key);
    let exited = programs.run(&invocation).await;
    let Exited {
        code,
        stdout,
        stderr,
    } = match is_secret {
        true => exited.map_err(hidden)?,
        false => exited?,
    };
    let output = |text| match is_secret {
        true => Value::Secret(Secret::new(text)),
        false => Value::String(text),
    };
    Ok(Value::map([
        ("code", Value::Int(code.into())),
        ("stdout", output(stdout)),
        ("stderr", output(stderr)),
    ]))
}

/// A failure without what the program printed. What Windlass itself says of it stays.
fn hidden(failure: Failure) -> Failure {
    match failure.code.starts_with("Exit") {
        true => Failure {
            message: "what it printed is a secret (`secret_output: true`)".into(),
            ..failure
        },
        false => failure,
    }
}

fn texts(listed: &Value) -> Result<Vec<String>, String> {
    let Value::List(items) = listed else {
        return Err("the arguments are a list".into());
    };
    items
        .iter()
        .map(|item| match item {
            Value::Secret(_) => {
                Err("an argument is a secret, and every process of the machine could read it: use `stdin` or `env`".into())
            }
            Value::List(_) | Value::Map(_) | Value::Null => {
                Err(format!("an argument is a {}", item.kind()))
            }
            other => Ok(other.to_text()),
        })
        .collect()
}

fn codes(given: Option<Value>) -> Result<Vec<i32>, String> {
    let wrong = || "`expect` is a list of exit codes: [0, 1]".to_owned();
    let items = match given {
        None => return Ok(vec![0]),
        Some(Value::List(items)) => items,
        Some(one) => vec![one],
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::Int(code) => i32::try_from(code).map_err(|_| wrong()),
            _ => Err(wrong()),
        })
        .collect()
}

/// The program that the script gave as `undo`.
pub(super) fn reversal(done: Done, programs: &Programs, files: &OutputFolder) -> Reversal {
    let Some((program, arguments)) = texts(done.before).ok().and_then(|mut texts| {
        (!texts.is_empty()).then(|| {
            let program = texts.remove(0);
            (program, texts)
        })
    }) else {
        return Reversal::never(format!("{} has no `undo`", done.function));
    };
    let what = format!("run {program} {}", arguments.join(" "));
    let invocation = Invocation {
        program,
        arguments,
        stdin: None,
        variables: BTreeMap::new(),
        timeout: None,
        expected: vec![0],
        folder: files.root().to_owned(),
    };
    let (programs, about) = (programs.clone(), what.as_str().into());
    // An undo must be safe to be made again: its author says so by giving one.
    Reversal::By(WayBack::blind(what, "exec::undo", about, move |key| {
        let running = start(programs.clone(), invocation.clone(), key, false);
        async move { running.await.map(|_| Reversed::Done) }
    }))
}
