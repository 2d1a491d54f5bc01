use super::{
    Done,
    archive::Archive,
    args::{Args, Cancel},
    drive::{Drive, drive_to_end},
    exit,
    process::{now, requester},
    remote,
    taken::{look, take},
};
use crate::{
    decide,
    execute::Ended,
    journal::{Event, Message, Outcome, RunCancelled, UndoStarted},
    report, runs,
    value::Command,
};

/// `windlass cancel [RUN]`: stops a run that another process drives, or ends one that no process drives.
pub fn cancel(args: &Args, command: &Cancel) -> Done {
    let (archive, id, state) = look(args, command.run.as_deref())?;
    runs::refuse_cancel(&id, &state)?;
    if let Archive::Server(there) = &archive {
        return remote::cancel(there, command, &id);
    }
    let requester = requester();
    if archive.is_owned(&id)? {
        archive.post(
            &id,
            &Message::Cancel {
                requester,
                via: None,
            },
            now(),
        )?;
        let logs = report::command(Command::new("logs").arg(&id).flag("-f"));
        say!("asked run {id} to stop. To watch it: {logs}");
        return Ok(exit::SUCCEEDED);
    }
    let taken = take(&archive, &id)?;
    let mut events = match taken.state.is_undoing {
        true => vec![Event::UndoStarted(UndoStarted {
            requester: requester.clone(),
            via: None,
        })],
        false => decide::on_resume(&taken.program.workflow, &taken.state, &requester),
    };
    events.push(Event::RunCancelled(RunCancelled {
        requester,
        via: None,
    }));
    let drive = Drive {
        run: taken.run,
        program: taken.program,
        state: taken.state,
        events,
    };
    Ok(match drive_to_end(args, &command.driving, drive)? {
        Ended::Over(Outcome::Cancelled) => exit::SUCCEEDED,
        _ => exit::FAILED,
    })
}
