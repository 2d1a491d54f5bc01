//! `exec`: runs the programs that the target allows by name.

use std::collections::BTreeMap;

use rhai::{Array, Dynamic, Map, NativeCallContext};
use tokio_util::sync::CancellationToken;

use super::{
    Thrown,
    arguments::{Arguments, numbers, refuse},
    function::{
        Changing, Doubt, Function, Gives, Impact, Needs, Parameter, Reversible,
        ValueKind::{self, Bool, Bytes, Duration, Either, Float, Int, List, Record, Text},
        optional, preset, required,
    },
    host, perform,
    undo::{Done, Reversal, Reversed, WayBack},
};
use crate::{
    answer::{Answer, TRUNCATED},
    dynamic::from_dynamic,
    effects::{Call, Class, EffectKey, Level},
    secrecy::{SECRET_OUTPUT, SecretOutput, is_part_of_exec},
};
use windlass_world::{
    outside::{
        Again, Clients, DEFAULT_GRACE, Exited, Invocation, KEY_VARIABLE, Programs, left_running,
    },
    value::{Failure, Secret, Value, parse_duration},
};

const FUNCTION: &str = "exec::run";
/// The largest record of one call that the journal takes.
const MAX_RECORD_BYTES: usize = 1 << 20;

const SCALAR: ValueKind = Either(&[Text, ValueKind::Secret, Int, Float, Bool]);
const CODE: ValueKind = ValueKind::Between(0, 255);
/// A secret among the arguments could be read by every process of the machine.
const ARGUMENT: ValueKind = Either(&[Text, Int, Float, Bool]);
const OPTIONS: &[Parameter] = &[
    optional("stdin", Either(&[Text, ValueKind::Secret, Bytes]), ""),
    optional(
        "env",
        ValueKind::Map(&SCALAR),
        "variables; a secret belongs here or in `stdin`",
    ),
    optional("timeout", Duration, "then the program is stopped"),
    preset("grace", Duration, "\"10s\"", "from SIGTERM to SIGKILL"),
    optional(
        "expect",
        Either(&[List(&CODE), CODE]),
        "the exit codes that mean success, from 0 to 255; by default 0",
    ),
    preset("read", Bool, "false", "the program changes nothing"),
    preset(
        "idempotent",
        Bool,
        "false",
        "running it again has no further effect",
    ),
    preset(
        SECRET_OUTPUT,
        Either(&[Bool, List(&Text)]),
        "false",
        "both streams are secrets; a list such as `[\"stdout\"]` names one of them",
    ),
    optional(
        "undo",
        Either(&[List(&ARGUMENT), Record(UNDO)]),
        "the program that reverses it, with its arguments",
    ),
];
const UNDO: &[Parameter] = &[
    required("run", List(&ARGUMENT), "the program and its arguments"),
    preset(
        "idempotent",
        Bool,
        "false",
        "running it again has no further effect",
    ),
];
const EXITED: &[Parameter] = &[
    required("code", Int, ""),
    required("stdout", Text, ""),
    required("stdout_bytes", Bytes, ""),
    required("stderr", Text, ""),
    required("stderr_bytes", Bytes, ""),
    optional(
        "truncated",
        Bool,
        "whether a stream had more than 448 KiB, and only its end was kept; for all of it, let the program write a file",
    ),
];

pub(super) static TABLE: [Function; 1] = [Function {
    name: FUNCTION,
    about: "Runs a program that the target allows by name, in the output folder and without a shell.",
    takes: &[
        required("program", Text, "its name in the target's `exec`"),
        required("arguments", List(&ARGUMENT), ""),
        optional("options", Record(OPTIONS), ""),
    ],
    gives: Gives::new(Record(EXITED), ""),
    does: Impact::Changes(Changing {
        unless: Some("read"),
        ..Changing::new(
            Doubt::Decided(
                &[Class::Unsure, Class::Read, Class::Keyed],
                "the run stops and asks; with `read` or `idempotent`, the program is run again",
            ),
            Reversible::IfGiven(
                "the program of the option `undo` is run; if it is not known whether the call was made, an undo asks first",
                of_run,
            ),
        )
    }),
    needs: Needs::Nothing,
    example: "let found = exec::run(\"istioctl\", [\"analyze\"], #{ read: true, timeout: \"1m\" }).stdout;",
    bind: |b| {
        b.with(
            |context: NativeCallContext, program: &str, arguments: Array| {
                run(&context, program, arguments, Map::new())
            },
        )
        .with(
            |context: NativeCallContext, program: &str, arguments: Array, options: Map| {
                run(&context, program, arguments, options)
            },
        )
    },
}];

/// Implements `exec::run("istioctl", ["analyze"], #{ stdin, env, timeout, grace, expect, read, idempotent,
/// secret_output, undo })`; returns `code`, `stdout`, `stdout_bytes`, `stderr`, `stderr_bytes`, `truncated`.
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
    let read =
        |key, text: String| parse_duration(&text).map_err(|e| wrong(format!("`{key}`: {e}")));
    let timeout = options.optional_text("timeout")?;
    let timeout = timeout.map(|text| read("timeout", text)).transpose()?;
    let grace = read("grace", options.text("grace")?)?;
    let (mut variables, mut refusal) = (BTreeMap::new(), Ok(()));
    for (name, value) in options.scalar_map("env")? {
        let checked = clients.programs.check_variable(program, &name);
        refusal = refusal.and(checked.map_err(|e| format!("`env`: {e}")));
        let value = match value {
            Value::Secret(secret) => secret,
            other => Secret::new(other.to_text()),
        };
        value
            .text()
            .map_err(|why| wrong(format!("`env.{name}`: {why}")))?;
        variables.insert(name, value);
    }
    let secret = SecretOutput::read(options.optional(SECRET_OUTPUT).as_ref(), is_part_of_exec);
    let secret = secret.map_err(wrong)?;
    let class = match (options.flag("read")?, options.flag("idempotent")?) {
        (true, _) => Class::Read,
        (false, true) => Class::Keyed,
        (false, false) => Class::Unsure,
    };
    let ending = CancellationToken::new();
    let invocation = Invocation {
        program: program.into(),
        arguments: texts(&listed).map_err(wrong)?,
        stdin: options.optional_content("stdin")?,
        variables,
        timeout,
        grace,
        expected: {
            let codes = codes(options.optional("expect")).map_err(wrong)?;
            refusal = refusal.and(check_codes(&codes));
            codes
        },
        folder: clients.files.root().to_owned(),
        hides_output: secret.hides(),
        again: match class {
            Class::Read => Again::Reads,
            Class::Keyed => Again::Idempotent,
            _ => Again::Unsure,
        },
        ending: ending.clone(),
    };
    let undo = options.optional("undo").unwrap_or(Value::Null);
    options.finish()?;
    if undo != Value::Null {
        if class == Class::Read {
            let why = "`read` and `undo` can't be combined: a program that changes nothing is not reversed";
            refusal = refusal.and(Err(why.to_owned()));
        }
        // Reports a mistake in the undo now, not when the undo is needed.
        of_undo(&undo).map_err(|why| wrong(format!("`undo`: {why}")))?;
    }
    let record = Value::map([
        ("program", program.into()),
        ("arguments", listed),
        ("options", given),
    ]);
    let mut call = Call::new(FUNCTION, class, record, move |key| {
        start(clients.programs, invocation, secret, key)
    })
    .ending_on(ending)
    .leaving(left(program));
    if undo != Value::Null {
        call = call.remembering(move || async move { Ok(undo) });
    }
    let effects = host(context)?.effects;
    let is_replayed = effects.is_replaying();
    let answer = perform(context, call.refusing(refusal))?;
    if !is_replayed && answer.field(TRUNCATED).is_some() {
        let message = format!(
            "{program}: only the end of what it printed was kept; for all of it, let it write a file"
        );
        effects.note(Level::Warn, message);
    }
    Ok(Answer::of(answer))
}

/// Finds the program that an earlier process started for the same call.
fn left(program: &str) -> impl Fn(&EffectKey) -> Option<String> + use<> {
    let program = program.to_owned();
    move |key| {
        let process = left_running(key.as_str())?;
        Some(format!("{program} (process {process})"))
    }
}

async fn start(
    programs: Programs,
    mut invocation: Invocation,
    secret: SecretOutput,
    key: EffectKey,
) -> Result<Value, Failure> {
    let key = Secret::new(key.as_str());
    invocation.variables.insert(KEY_VARIABLE.into(), key);
    let mut exited = programs.run(&invocation).await?;
    let (mut record, mut most) = (
        recorded(&exited),
        exited.stdout.len().max(exited.stderr.len()),
    );
    // What is not text takes more room in the journal than in the stream.
    while record.to_json().to_string().len() > MAX_RECORD_BYTES {
        most /= 2;
        exited.keep_last(most);
        record = recorded(&exited);
    }
    Ok(secret.sealed_answer(record))
}

fn recorded(exited: &Exited) -> Value {
    let mut record = BTreeMap::from([
        ("code".into(), Value::Int(exited.code.into())),
        Answer::record("stdout", &exited.stdout, None),
        Answer::record("stderr", &exited.stderr, None),
    ]);
    if exited.is_cut {
        record.insert(TRUNCATED.into(), true.into());
    }
    Value::Map(record)
}

fn texts(listed: &Value) -> Result<Vec<String>, String> {
    let Value::List(items) = listed else {
        return Err("the arguments must be a list".into());
    };
    items
        .iter()
        .map(|item| match item {
            Value::Secret(_) => {
                Err("an argument is a secret, which every process on the machine could read: use `stdin` or `env`".into())
            }
            Value::List(_) | Value::Map(_) | Value::Null | Value::Bytes(_) => {
                Err(format!("an argument must be a string, not {}", item.a_kind()))
            }
            other => Ok(other.to_text()),
        })
        .collect()
}

fn codes(given: Option<Value>) -> Result<Vec<i32>, String> {
    match given {
        None => Ok(vec![0]),
        Some(given) => numbers(given).ok_or_else(|| EXPECT.to_owned()),
    }
}

const EXPECT: &str = "`expect` must be a list of exit codes from 0 to 255: [0, 1]";

/// Refuses codes that no program ends with.
fn check_codes(codes: &[i32]) -> Result<(), String> {
    if !codes.is_empty() && codes.iter().all(|code| (0..=255).contains(code)) {
        Ok(())
    } else {
        Err(EXPECT.to_owned())
    }
}

/// Reads `undo`: a program with its arguments, as a list or as `#{ run: […], idempotent: true }`. Returns whether it is idempotent
/// as well.
fn of_undo(undo: &Value) -> Result<(String, Vec<String>, bool), String> {
    let (listed, is_idempotent) = match undo {
        Value::Map(map) => {
            let is_idempotent = match map.get("idempotent") {
                None => false,
                Some(Value::Bool(given)) => *given,
                Some(other) => {
                    return Err(format!(
                        "`idempotent` must be a bool, not {}",
                        other.a_kind()
                    ));
                }
            };
            if let Some(other) = map
                .keys()
                .find(|key| !["run", "idempotent"].contains(&key.as_str()))
            {
                return Err(format!("it has no option `{other}`"));
            }
            (map.get("run").unwrap_or(&Value::Null), is_idempotent)
        }
        other => (other, false),
    };
    let mut texts = texts(listed)?;
    if texts.is_empty() {
        return Err("it must name a program".into());
    }
    let program = texts.remove(0);
    Ok((program, texts, is_idempotent))
}

/// Returns the reversal that runs the program which the script gave as `undo`.
fn of_run(done: Done, clients: &Clients) -> Reversal {
    if *done.before == Value::Null {
        return Reversal::never(format!("{} has no `undo`", done.function));
    }
    let (program, arguments, is_idempotent) = match of_undo(done.before) {
        Ok(undo) => undo,
        Err(why) => {
            return Reversal::never(format!(
                "the `undo` of {} can't be read: {why}",
                done.function
            ));
        }
    };
    let what = format!("run {program} {}", arguments.join(" "));
    let invocation = Invocation {
        program,
        arguments,
        stdin: None,
        variables: BTreeMap::new(),
        timeout: None,
        grace: DEFAULT_GRACE,
        expected: vec![0],
        folder: clients.files.root().to_owned(),
        hides_output: false,
        again: if is_idempotent {
            Again::Idempotent
        } else {
            Again::Unsure
        },
        ending: CancellationToken::new(),
    };
    let (programs, about) = (clients.programs.clone(), what.as_str().into());
    let ending = invocation.ending.clone();
    let class = if is_idempotent {
        Class::Keyed
    } else {
        Class::Unsure
    };
    let way = WayBack::blind(what, "exec::undo", about, move |key| {
        let running = start(
            programs.clone(),
            invocation.clone(),
            SecretOutput::Nothing,
            key,
        );
        async move { running.await.map(|_| Reversed::Done) }
    });
    Reversal::By(way.in_doubt(class).ending_on(ending))
}
