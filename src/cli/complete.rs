//! What the shell completes: the script that each shell loads, and the values that only Windlass knows.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_complete::{CompletionCandidate, PathCompleter, engine::ValueCompleter, env::Shells};

use super::{Done, args::Args, failure::Failure, print, shipped};
use crate::{journal::Journal, targets::Targets};

/// Set by the script that a shell loads, to the shell's name, when it asks for completions.
const VARIABLE: &str = "WINDLASS_COMPLETE";
const NAME: &str = "windlass";

/// Answers a shell that asks for completions, and ends the process; otherwise does nothing.
pub fn answer() {
    clap_complete::CompleteEnv::with_factory(Args::command)
        .var(VARIABLE)
        .complete();
}

/// `windlass completions SHELL`: prints the script that the shell loads. It asks this program for every completion.
pub fn completions(shell: &str) -> Done {
    let shells = Shells::builtins();
    let mut script = Vec::new();
    let written = shells
        .completer(shell)
        .map(|shell| shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script));
    match written {
        Some(Ok(())) => print(&String::from_utf8_lossy(&script)),
        Some(Err(error)) => Err(Failure::new("system", error.to_string())),
        None => unreachable!("the command line takes only shells that are known"),
    }
}

/// The ids of the runs of the state folder, the newest first, with what each is.
///
/// A completion never fails: where nothing can be read, there is nothing to offer.
pub fn runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let state = env::var_os("WINDLASS_STATE").map_or_else(|| ".windlass".into(), PathBuf::from);
    if !state.join("journal.db").exists() {
        return Vec::new();
    }
    let runs = Journal::open(&state).and_then(|journal| journal.runs());
    let runs = runs.unwrap_or_default().into_iter();
    runs.filter(|run| begins(run.id.as_str(), current))
        .map(|run| {
            let about = format!("{}, {}", run.workflow, run.status());
            CompletionCandidate::new(run.id.as_str()).help(Some(about.into()))
        })
        .collect()
}

/// Workflow files, and the names of shipped workflows.
pub fn workflows(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::file().complete(current);
    found.extend(shipped(current));
    found
}

/// The names of shipped workflows.
pub fn shipped(current: &OsStr) -> Vec<CompletionCandidate> {
    shipped::names()
        .filter(|name| begins(name, current))
        .map(CompletionCandidate::new)
        .collect()
}

/// The targets of `windlass.toml`, and the built-in one.
pub fn targets(current: &OsStr) -> Vec<CompletionCandidate> {
    let config =
        env::var_os("WINDLASS_CONFIG").map_or_else(|| "windlass.toml".into(), PathBuf::from);
    let targets = Targets::load(Path::new(&config), false).unwrap_or_default();
    targets
        .names()
        .filter(|name| begins(name, current))
        .map(CompletionCandidate::new)
        .collect()
}

fn begins(text: &str, current: &OsStr) -> bool {
    text.starts_with(&*current.to_string_lossy())
}
