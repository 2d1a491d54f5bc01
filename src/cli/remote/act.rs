use std::{path::Path, sync::Arc};

use super::{
    run::refuse_driving,
    watch::{caller, follow},
};
use crate::{
    cli::{
        Done,
        archive::Archive,
        args::{self, Cancel, Resume, Undo},
        confirm::{confirm, which},
        drive::{exit_code, undo_exit_code},
        exit,
        failure::Failure,
        in_doubt,
        load::Source,
        preflight::say_notes,
        print,
        taken::frozen,
        undo::show_undo_plan,
    },
    compile::Program,
    journal::{Approval, InstanceId, RunId, RunInfo, State, Verdict},
    report,
    runs::{Answers, Changes, Runs, SentFiles, There, Undoing, WorkflowName},
    value::Command,
};

/// Resumes a server's run, and shows its events.
pub fn resume(archive: &Archive, there: &There, command: &Resume, id: &RunId) -> Done {
    refuse_driving(&command.driving)?;
    let state = archive.state_of(id)?;
    let (info, mut program) = frozen(archive, id, &state)?;
    let has_changes = command.edited || !command.redo.is_empty();
    let answers = in_doubt::read_all(&command.answers)?;
    if has_changes || command.plan {
        let mut sent = None;
        if command.edited && is_sent(&info) {
            program = files_here(&info)?;
            sent = Some(SentFiles {
                program: Arc::new(program.clone()),
                may_differ: true,
            });
        } else if command.edited {
            program = now_there(there, &info, program)?;
        }
        let redo = command.redo.iter();
        let changes = Changes {
            takes_files: command.edited,
            params: command.params.named(&program.workflow)?,
            redo: redo.cloned().collect(),
            answers,
            sent,
        };
        let revision = there.revision(id, &changes)?;
        say_notes(revision.notes);
        if command.plan {
            return print(&if command.driving.json {
                report::json_text(&report::plan_json(&revision.plan))
            } else {
                report::resume_plan(id, &revision.plan)
            });
        }
        report::say(&report::resume_plan(id, &revision.plan));
        let question = format!("Apply this plan to {}?", which(id, &state));
        if !confirm(command.yes, &question)? {
            return Ok(exit::NOTHING_STARTED);
        }
        there.resume_with(id, &changes, Some(revision.digest), &caller(there))?;
    } else if !answers.is_empty() {
        there.answer_doubts(id, &answers, None, &caller(there))?;
    } else {
        there.resume(id, &caller(there))?;
    }
    let (ended, state) = follow(there, &command.driving, id, program, state)?;
    Ok(exit_code(ended, &state))
}

/// Says whether a terminal sent the files of a run: then the server names no folder for them.
fn is_sent(info: &RunInfo) -> bool {
    info.folder.is_empty()
}

/// Reads the current files that a terminal sent, under the names that were given.
fn files_here(info: &RunInfo) -> Result<Program, Failure> {
    let read = Source::of_run(info).compile();
    read.map_err(|failure| if failure.is("unreadable-file") { failure.hint(
        "the files of this run were sent from a terminal: use --edited in the folder in which it was started",
    ) } else { failure })
}

/// Returns the current workflow of a run on the server.
fn now_there(there: &There, info: &RunInfo, program: Program) -> Result<Program, Failure> {
    let name = Path::new(&info.file).file_stem();
    let name = name.and_then(|stem| WorkflowName::parse(stem.to_str()?));
    let found = name.map(|name| there.workflow(&name)).transpose();
    match found {
        Ok(found) => Ok(found.unwrap_or(program)),
        Err(error) if error.code == "unknown-workflow" => Ok(program),
        Err(error) => Err(error.into()),
    }
}

/// Asks a server to cancel a run.
pub fn cancel(there: &There, _: &Cancel, id: &RunId) -> Done {
    there.cancel(id, &caller(there))?;
    let logs = report::command(Command::new("logs").arg(id).flag("-f"));
    say!("asked run {id} to stop. To watch it: {logs}");
    Ok(exit::SUCCEEDED)
}

/// Answers questions of a server's run: all of them, or none.
pub fn answer(
    there: &There,
    command: &args::Answer,
    verdict: Verdict,
    (id, asked): (&RunId, &[(InstanceId, Approval)]),
) -> Done {
    let answers = Answers {
        verdict,
        steps: asked
            .iter()
            .map(|(step, asked)| (step.clone(), Some(asked.digest)))
            .collect(),
        comment: command.comment.clone(),
    };
    there.answer(id, &answers, &caller(there))?;
    for (step, asked) in asked {
        say!(
            "{} `{step}`: {}",
            verdict.as_str(),
            report::line(&asked.message)
        );
    }
    Ok(exit::SUCCEEDED)
}

/// Shows what the undo of a server's run would do, asks for confirmation, and starts it.
pub fn undo(
    archive: &Archive,
    there: &There,
    command: &Undo,
    (id, state): (&RunId, State),
) -> Result<u8, Failure> {
    refuse_driving(&command.driving)?;
    let answers = in_doubt::read_all(&command.answers)?;
    let (_, program) = frozen(archive, id, &state)?;
    let plan = there.undo_plan(id, &answers)?;
    show_undo_plan(command, id, &plan.items)?;
    if let Some(refused) = plan.refused
        && !command.force
    {
        return Err(refused.into());
    }
    if command.plan {
        return Ok(exit::SUCCEEDED);
    }
    if !confirm(command.yes, &format!("Undo {}?", which(id, &state)))? {
        return Ok(exit::NOTHING_STARTED);
    }
    let how = Undoing {
        force: command.force,
        events: plan.events,
    };
    there.undo(id, &answers, how, &caller(there))?;
    let (ended, state) = follow(there, &command.driving, id, program, state)?;
    Ok(undo_exit_code(ended, &state))
}
