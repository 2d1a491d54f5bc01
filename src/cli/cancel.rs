use super::{
    Done,
    args::{Args, Cancel},
    drive::{Drive, drive_to_end},
    exit,
    failure::Failure,
    process::{now, requester},
    taken::{look, take},
};
use crate::{
    decide,
    execute::Ended,
    journal::{Event, Message, Outcome},
    report,
    value::Command,
};

/// `windlass cancel [RUN]`: stops a run that another process drives, or ends one that nobody does.
pub fn cancel(args: &Args, command: &Cancel) -> Done {
    let (archive, id, state) = look(args, command.run.as_deref())?;
    if let Some(outcome) = state.outcome {
        let how = match outcome {
            Outcome::Succeeded | Outcome::Failed => format!("it {}", outcome.as_str()),
            Outcome::Cancelled | Outcome::Undone => format!("it was {}", outcome.as_str()),
            Outcome::UndoFailed => "its undo failed".into(),
        };
        let message = format!("run {id} has ended: {how}");
        return Err(Failure::new("nothing-to-cancel", message));
    }
    let requester = requester();
    if archive.is_owned(&id)? {
        archive.post(&id, &Message::Cancel { requester }, now())?;
        let logs = report::command(Command::new("logs").arg(&id).flag("-f"));
        say!("asked run {id} to stop. To watch it: {logs}");
        return Ok(exit::SUCCEEDED);
    }
    let taken = take(&archive, &id)?;
    let mut events = match taken.state.is_undoing {
        true => vec![Event::UndoStarted {
            requester: requester.clone(),
        }],
        false => decide::on_resume(&taken.program.workflow, &taken.state, &requester),
    };
    events.push(Event::RunCancelled { requester });
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
