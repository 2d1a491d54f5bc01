//! Shell completion: the script that each shell loads, and the values that only Windlass knows.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_complete::{CompletionCandidate, PathCompleter, engine::ValueCompleter, env::Shells};

use super::{Done, args::Args, failure::Failure, load::load, print, shipped};
use crate::{
    compile::Program,
    journal::{JOURNAL, Journal, RunId, RunRow},
    report,
    targets::Targets,
};

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

/// Returns the ids of the runs in the state folder, newest first, each with a description.
///
/// A completion never fails: if nothing can be read, nothing is offered.
pub fn runs(current: &OsStr) -> Vec<CompletionCandidate> {
    runs_which(current, |_, _| true)
}

/// Returns the runs that have not ended.
pub fn open_runs(current: &OsStr) -> Vec<CompletionCandidate> {
    runs_which(current, |_, row| !row.has_ended())
}

/// Returns the runs that wait for the answer to a question.
pub fn waiting_runs(current: &OsStr) -> Vec<CompletionCandidate> {
    runs_which(current, |journal, row| {
        !row.has_ended() && !questions(journal, &row.id).is_empty()
    })
}

fn runs_which(
    current: &OsStr,
    is_wanted: impl Fn(&Journal, &RunRow) -> bool,
) -> Vec<CompletionCandidate> {
    let Some(journal) = journal() else {
        return Vec::new();
    };
    let runs = journal.runs().unwrap_or_default().into_iter();
    runs.filter(|run| begins(run.id.as_str(), current) && is_wanted(&journal, run))
        .map(|run| {
            let about = format!("{}, {}", crate::report::line(&run.workflow), run.status());
            CompletionCandidate::new(run.id.as_str()).help(Some(about.into()))
        })
        .collect()
}

/// Returns the steps of a run that wait for an answer.
fn questions(journal: &Journal, run: &RunId) -> Vec<String> {
    let state = journal.state_of(run).unwrap_or_default();
    state.questions().map(|(id, _)| id.to_string()).collect()
}

/// Returns workflow files, and the names of shipped workflows.
pub fn workflows(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::file().complete(current);
    found.extend(shipped(current));
    found
}

/// Returns the names of shipped workflows.
pub fn shipped(current: &OsStr) -> Vec<CompletionCandidate> {
    shipped::names()
        .filter(|name| begins(name, current))
        .map(CompletionCandidate::new)
        .collect()
}

/// Returns the targets of `windlass.toml`, and the built-in one.
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

/// Returns workflow files, the names of shipped workflows, and runs.
pub fn workflows_and_runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = workflows(current);
    found.extend(runs(current));
    found
}

/// Returns the params of the workflow that the command line names, each up to its value.
pub fn params(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(program) = workflow() else {
        return Vec::new();
    };
    let params = program.workflow.params.iter();
    params
        .map(|(name, param)| {
            let about = param.description.clone().map(Into::into);
            CompletionCandidate::new(format!("{name}=")).help(about)
        })
        .filter(|candidate| begins(&candidate.get_value().to_string_lossy(), current))
        .collect()
}

/// Returns the steps of the workflow or run on the command line, or else those of the newest run.
pub fn steps(current: &OsStr) -> Vec<CompletionCandidate> {
    let of_workflow = workflow().map(|program| {
        let steps = program.workflow.steps();
        steps.map(|(_, step)| step.name.to_string()).collect()
    });
    let names: Vec<String> = of_workflow.or_else(steps_of_run).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| begins(name, current))
        .map(CompletionCandidate::new)
        .collect()
}

/// Returns the steps that wait for an answer, of the run on the command line, or else of the newest run that waits.
pub fn waiting_steps(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(journal) = journal() else {
        return Vec::new();
    };
    let steps = match named_run(&journal) {
        Some(run) => questions(&journal, &run),
        None => {
            let runs = journal.runs().unwrap_or_default().into_iter();
            let waiting = runs.filter(|run| !run.has_ended());
            let mut asked = waiting.map(|run| questions(&journal, &run.id));
            asked.find(|steps| !steps.is_empty()).unwrap_or_default()
        }
    };
    let given: BTreeSet<_> = words().collect();
    steps
        .into_iter()
        .filter(|step| begins(step, current) && !given.contains(step))
        .map(CompletionCandidate::new)
        .collect()
}

/// Returns the topics of `windlass explain`.
pub fn topics(current: &OsStr) -> Vec<CompletionCandidate> {
    // A key that occurs in several maps is one topic.
    let topics: BTreeSet<_> = report::topics().into_iter().collect();
    topics
        .into_iter()
        .filter(|topic| begins(topic, current))
        .map(CompletionCandidate::new)
        .collect()
}

/// Returns the words of the command line to complete, which the shell's script passes after `--`.
fn words() -> impl Iterator<Item = String> {
    let words = env::args_os().skip_while(|word| word != "--").skip(1);
    words.filter_map(|word| word.into_string().ok())
}

/// Returns the first workflow file on the command line.
fn workflow() -> Option<Program> {
    let is_workflow = |word: &String| word.ends_with(".yaml") && Path::new(word).is_file();
    words()
        .filter(is_workflow)
        .find_map(|word| load(Path::new(&word)).ok())
}

fn steps_of_run() -> Option<Vec<String>> {
    let journal = journal()?;
    let run = named_run(&journal).or_else(|| journal.find(None).ok())?;
    let state = journal.state_of(&run).ok()?;
    Some(state.steps.keys().map(ToString::to_string).collect())
}

/// Returns the run that the command line names.
fn named_run(journal: &Journal) -> Option<RunId> {
    // The program's name and the command are not the id of a run.
    words().skip(2).find_map(|word| {
        let is_part = word.len() > 2 && !word.starts_with('-');
        journal.find(Some(&word)).ok().filter(|_| is_part)
    })
}

/// Opens the journal of the state folder, if there is one.
fn journal() -> Option<Journal> {
    let state = state_folder();
    let is_there = state.join(JOURNAL).exists();
    is_there.then(|| Journal::open(&state).ok()).flatten()
}

fn state_folder() -> PathBuf {
    env::var_os("WINDLASS_STATE").map_or_else(|| ".windlass".into(), PathBuf::from)
}
