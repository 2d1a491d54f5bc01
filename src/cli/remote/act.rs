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
        print,
        server::not_remote,
        taken::frozen,
    },
    execute::Ended,
    journal::{Approval, InstanceId, Outcome, RunId, State, Verdict},
    report,
    runs::{Runs, There},
    value::Command,
};

/// Resumes a run of a server, and shows what happens.
pub fn resume(archive: &Archive, there: &There, command: &Resume, id: &RunId) -> Done {
    if command.edited || command.plan || !command.redo.is_empty() || !command.answers.is_empty() {
        return Err(not_remote(
            "--edited, --redo, --answer and --plan work for runs of this machine, and not for those of a server",
        )
        .hint("use them on the machine where the server runs, on its state folder"));
    }
    refuse_driving(&command.driving)?;
    let state = archive.state_of(id)?;
    let (_, program) = frozen(archive, id, &state)?;
    there.resume(id, &caller(there))?;
    Ok(exit_code(follow(
        there,
        &command.driving,
        id,
        program,
        state,
    )?))
}

/// Asks a server to stop a run.
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

/// Shows what the undo of a run of a server would do, asks, and has it done.
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
