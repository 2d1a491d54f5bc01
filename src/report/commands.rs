//! Completes the commands in hints with the options of this process.

use std::sync::{Mutex, MutexGuard};

use windlass_ground::lock;
use windlass_journal::RunId;
use windlass_world::value::Command;

/// The options that a command in a hint repeats, so that it finds the same runs: set by the command line, and by code that
/// drives a run at the place in its target.
static REPEATED: Mutex<Vec<(&str, String)>> = Mutex::new(Vec::new());

/// The beginning of a command in a hint.
const BEGIN: &str = "`windlass ";

/// Commands that use no runs and no targets.
const WITHOUT_RUNS: [&str; 5] = ["iam", "rbac", "pca", "kube", "worker"];

/// Makes every command in a hint of this process repeat an option.
pub fn repeat(option: &'static str, value: impl Into<String>) {
    let mut repeated = repeated();
    repeated.retain(|(known, _)| *known != option);
    repeated.push((option, value.into()));
}

/// Returns a command that can be pasted as it is.
pub fn command(command: Command) -> String {
    let repeated = repeated();
    let with_options = repeated.iter().fold(command, |command, (option, value)| {
        command.option(option, value)
    });
    with_options.to_string()
}

/// Completes the commands in a hint, each of which is between backticks: adds the options of this process, and the run if a command
/// names none.
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
    lock(&REPEATED)
}
