use std::path::Path;

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
        drive::exit_code,
        exit,
        failure::Failure,
        in_doubt, print,
        server::not_remote,
        taken::frozen,
    },
    compile::Program,
    execute::Ended,
    journal::{Approval, InstanceId, Outcome, RunId, RunInfo, State, Verdict},
    report,
    runs::{Changes, Runs, There, WorkflowName},
    value::Command,
};

/// Resumes a run of a server, and shows what happens.
pub fn resume(archive: &Archive, there: &There, command: &Resume, id: &RunId) -> Done {
    refuse_driving(&command.driving)?;
    let state = archive.state_of(id)?;
    let (info, mut program) = frozen(archive, id, &state)?;
    let has_changes = command.edited || !command.redo.is_empty();
    if let Some(answer) = command.answers.first() {
        if has_changes || command.plan || command.answers.len() > 1 {
            return Err(not_remote(
                "a server takes one --answer at a time, without --edited, --redo and --plan",
            )
            .hint(
                "each answer resumes the run; give the next one once the run has stopped again",
            ));
        }
        let (step, answer) = in_doubt::read(answer)?;
        there.answer_doubt(id, &step, &answer, &caller(there))?;
    } else if has_changes || command.plan {
        if command.edited {
            program = now_there(there, &info, program)?;
        }
        let redo = command.redo.iter();
        let changes = Changes {
            takes_files: command.edited,
            params: command.params.named(&program.workflow)?,
            redo: redo.cloned().collect(),
        };
        let revision = there.revision(id, &changes)?;
        if command.plan {
            return print(&match command.driving.json {
                true => format!("{:#}\n", report::plan_json(&revision.plan)),
                false => report::resume_plan(id, &revision.plan),
            });
        }
        report::say(&report::resume_plan(id, &revision.plan));
        let question = format!("Apply this plan to {}?", which(id, &state));
        if !confirm(command.yes, &question)? {
            return Ok(exit::NOTHING_STARTED);
        }
        there.resume_with(id, &changes, Some(revision.digest), &caller(there))?;
    } else {
        there.resume(id, &caller(there))?;
    }
    Ok(exit_code(follow(
        there,
        &command.driving,
        id,
        program,
        state,
    )?))
}

/// Returns the workflow of a run as the server has it now. The server itself refuses a run whose files were uploaded.
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

/// Answers a question of a run of a server.
pub fn answer(
    there: &There,
    command: &args::Answer,
    verdict: Verdict,
    (id, step, asked): (&RunId, &InstanceId, &Approval),
) -> Done {
    let comment = command.comment.clone();
    there.answer(
        id,
        step,
        verdict,
        Some(asked.digest),
        comment,
        &caller(there),
    )?;
    say!(
        "{} `{step}`: {}",
        verdict.as_str(),
        report::line(&asked.message)
    );
    Ok(exit::SUCCEEDED)
}

/// Shows what the undo of a run of a server would do, asks for confirmation, and starts it.
pub fn undo(
    archive: &Archive,
    there: &There,
    command: &Undo,
    (id, state): (&RunId, State),
) -> Result<u8, Failure> {
    if !command.answers.is_empty() {
        return Err(not_remote(
            "--answer works for runs of this machine, and not for those of a server",
        )
        .hint("use it on the machine where the server runs, on its state folder"));
    }
    refuse_driving(&command.driving)?;
    let (_, program) = frozen(archive, id, &state)?;
    let items = there.undo_plan(id)?;
    if command.plan {
        return print(&match command.driving.json {
            true => format!("{:#}\n", report::undo_json(&items)),
            false => report::undo_plan(id, &items),
        });
    }
    report::say(&report::undo_plan(id, &items));
    if !confirm(command.yes, &format!("Undo {}?", which(id, &state)))? {
        return Ok(exit::NOTHING_STARTED);
    }
    there.undo(id, &caller(there))?;
    let ended = follow(there, &command.driving, id, program, state)?;
    Ok(match ended {
        Ended::Over(Outcome::Undone) => exit::SUCCEEDED,
        Ended::Over(Outcome::Cancelled) => exit::CANCELLED,
        Ended::Waiting => exit::WAITING,
        _ => exit::FAILED,
    })
}
