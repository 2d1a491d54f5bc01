use std::{env, mem};

use console::Term;

use super::{
    Done,
    archive::Archive,
    args::{Args, Show},
    drive::problems,
    failure::Failure,
    print, print_text,
    process::now,
};
use crate::{
    compile::Workflow,
    decide,
    execute::compile_editions,
    journal::{RunId, RunInfo, State},
    report::{self, Detail, JsonView, Room, View, local_time},
    value::{Command, Value},
};

/// `windlass show [RUN]`.
pub fn show(args: &Args, command: &Show) -> Done {
    let archive = Archive::open(args)?;
    let id = archive.find(command.run.as_deref())?;
    let (state, is_driven) = archive.look_at(&id)?;
    let edition = state.run.as_ref().map_or(0, |run| run.edition);
    let read = |edition| archive.files(&id, edition);
    let files = read(edition);
    if command.json {
        // What can be read is shown, also of a run whose files are lost.
        let run = state.run.as_ref();
        let program = run.and_then(|run| compile_editions(run, read).ok());
        let view = JsonView {
            workflow: program.as_ref().map(|program| &*program.workflow),
            is_driven,
            now: now(),
        };
        return print(&report::json_text(&report::run_json(&id, &state, &view)));
    }
    let files = files?;
    let mut text = format!("{}\n", report::headline(&id, &state, is_driven, now()));
    if let Some(run) = &state.run {
        text.push_str(&format!(
            "{} on target {}, started {} by {}{}\n\n{}",
            report::line(&run.file),
            report::line(&run.target),
            local_time(run.started_at),
            report::line(&run.requester),
            changed(&state, run),
            params(&run.params)
        ));
        let program = compile_editions(run, read)?;
        let folder = env::current_dir().unwrap_or_default();
        text.push_str(&report::summary(
            &program.workflow,
            &state,
            View {
                folder: &folder,
                detail: Detail::Full,
                room: Room::of(&Term::stdout()).repeating(),
                is_driven,
                now: now(),
            },
        ));
        if state.outcome.is_none() && is_driven {
            for line in locks(&archive, &id, &program.workflow, &state)? {
                text.push_str(&format!("\n{line}\n"));
            }
        }
    }
    let stuck = match state.outcome {
        None => archive.stuck(&id)?,
        Some(_) => Vec::new(),
    };
    for held_up in &stuck {
        text.push_str(&format!("\n{}\n", held_up.why));
    }
    for line in report::approvals(&state) {
        text.push_str(&format!("\n{line}\n"));
    }
    for problem in problems(&id, &state, &files) {
        text.push_str(&format!("\n{problem}"));
    }
    let mut lines = Vec::new();
    if is_driven {
        if let Some(is_paused) = stuck.iter().map(|held_up| held_up.is_paused).max() {
            lines.extend(report::steps_when_held_up(&id, is_paused));
        }
        let mut questions = state.questions();
        // Restate drives a run also while it waits for an answer.
        if archive.asks_workers() && questions.any(|(_, asked)| !asked.has_expired(now())) {
            lines.extend(report::next_steps(&id, &state, true, now()));
        }
    } else {
        lines.extend(report::next_steps(&id, &state, args.on.is_some(), now()));
    }
    if !lines.is_empty() {
        text.push_str(&format!("\n{}\n", lines.join("\n")));
    }
    let printed = print_text(&text);
    // The process ends: to free 100,000 instances one by one would take a tenth of its time.
    mem::forget(state);
    printed
}

/// Says for which locks a run waits, and which runs hold them.
fn locks(
    archive: &Archive,
    id: &RunId,
    workflow: &Workflow,
    state: &State,
) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for (lock, _) in decide::waits(workflow, state, id.as_str(), now()) {
        let Some(holder) = archive.holder_of(&lock)?.filter(|holder| holder != id) else {
            continue;
        };
        let mut line = format!(
            "waits for the lock `{}`, which is held by run {holder}",
            report::line(&lock)
        );
        if !archive.is_owned(&holder)? {
            let resume = report::command(Command::new("resume").arg(&holder));
            line.push_str(&format!(" (interrupted); to continue that run: {resume}"));
        }
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Says who changed a run after its start: by an edit, a redo or an answer.
fn changed(state: &State, run: &RunInfo) -> String {
    let others = state.requesters.iter().filter(|who| **who != run.requester);
    let others: Vec<_> = others.map(|who| report::line(who)).collect();
    if others.is_empty() {
        String::new()
    } else {
        format!(", changed by {}", others.join(", "))
    }
}

/// Formats the params, one per line.
fn params(params: &Value) -> String {
    let Some(params) = params.as_map().filter(|params| !params.is_empty()) else {
        return String::new();
    };
    let lines = params
        .iter()
        .map(|(name, value)| format!("  {name}: {}\n", report::line(&value.to_string())));
    format!("params\n{}\n", lines.collect::<String>())
}
