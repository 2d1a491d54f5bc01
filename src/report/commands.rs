//! The commands in hints, with the options that this process was given.

use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_engine::journal::RunId;
use windlass_world::value::Command;

/// The options that a command in a hint repeats, so that it finds the same runs: set once by the command
/// line, and by what drives a run where its target says.
static REPEATED: Mutex<Vec<(&str, String)>> = Mutex::new(Vec::new());

/// How a command in a hint begins.
const BEGIN: &str = "`windlass ";

/// These commands look at no run and at no target.
const WITHOUT_RUNS: [&str; 5] = ["iam", "rbac", "pca", "kube", "worker"];

/// Has every command in a hint of this process repeat an option.
pub fn repeat(option: &'static str, value: impl Into<String>) {
    let mut repeated = repeated();
    repeated.retain(|(known, _)| *known != option);
    repeated.push((option, value.into()));
}

/// A command that can be pasted here and now.
pub fn command(command: Command) -> String {
    let repeated = repeated();
    let with_options = repeated.iter().fold(command, |command, (option, value)| {
        command.option(option, value)
    });
    with_options.to_string()
}

/// Completes the commands of a hint, each of which stands between backticks: they get the options that
/// this process was given, and the run where they name none.
pub fn completed(hint: &str, run: Option<&RunId>) -> String {
    let mut text = String::with_capacity(hint.len());
    let mut rest = hint;
    while let Some(at) = rest.find(BEGIN) {
        let (before, inside) = rest.split_at(at + 1);
        let Some(end) = inside.find('`') else { break };
        text.push_str(before);
        text.push_str(&complete(&inside[..end], run));
        rest = &inside[end..];
    }
    text + rest
}

fn complete(written: &str, run: Option<&RunId>) -> String {
    let mut words = written.split(' ').skip(1);
    let name = words.next().unwrap_or_default();
    if WITHOUT_RUNS.contains(&name) {
        return written.to_owned();
    }
    let names_a_run = words.next().is_some_and(|word| !word.starts_with('-'));
    let takes_a_run = ["resume", "undo", "show", "logs", "cancel", "outputs"].contains(&name);
    let mut whole = written.to_owned();
    if let (Some(run), true, false) = (run, takes_a_run, names_a_run) {
        let end = "windlass ".len() + name.len();
        whole.insert_str(end, &format!(" {run}"));
    }
    let options = command(Command::new(name));
    whole + options.trim_start_matches(&format!("windlass {name}"))
}

fn repeated() -> MutexGuard<'static, Vec<(&'static str, String)>> {
    REPEATED.lock().unwrap_or_else(PoisonError::into_inner)
}
