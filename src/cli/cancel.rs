use super::{
    Done,
    archive::Archive,
    args::{Args, Cancel},
    drive::drive_to_end,
    exit,
    process::{now, person},
    remote,
    taken::{look, take},
};
use crate::{
    execute::Ended,
    journal::{Message, Outcome},
    report, runs,
    value::Command,
};

/// `windlass cancel [RUN]`: stops a run that another process drives, or ends one that no process drives.
pub fn cancel(args: &Args, command: &Cancel) -> Done {
    #[cfg(feature = "restate")]
    if let Archive::Restate(server) = Archive::open(args)?
        && let Some(id) = server.not_begun(command.run.as_deref())?
    {
        server.remote.withdraw(&id)?;
        say!("run {id} is withdrawn: no worker had taken it up");
        return Ok(exit::SUCCEEDED);
    }
    let (archive, id, state) = look(args, command.run.as_deref())?;
    runs::refuse_cancel(&id, &state)?;
    if let Archive::Server(there) = &archive {
        return remote::cancel(there, command, &id);
    }
    let who = person();
    if archive.is_owned(&id)? {
        archive.post(
            &id,
            &Message::Cancel {
                requester: who.name,
                via: who.via,
            },
            now(),
        )?;
        let logs = report::command(Command::new("logs").arg(&id).flag("-f"));
        say!("asked run {id} to stop. To watch it: {logs}");
        return Ok(exit::SUCCEEDED);
    }
    let taken = take(&archive, &id)?;
    let is_undo = taken.state.is_undoing;
    let mut events = runs::resume_events(&taken.program.workflow, &taken.state, &who);
    runs::add_cancel(&mut events, &who);
    Ok(
        match drive_to_end(args, &command.driving, taken.drive(events))?.0 {
            // An undo that is cancelled ends before everything is undone.
            Ended::Over(Outcome::Cancelled) => exit::SUCCEEDED,
            Ended::Over(Outcome::UndoFailed) if is_undo => exit::SUCCEEDED,
            Ended::Over(_) => exit::FAILED,
            Ended::Waiting => exit::WAITING,
        },
    )
}
