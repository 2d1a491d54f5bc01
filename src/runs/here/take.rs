//! Takes over runs that no process drives.

use super::Here;
use crate::{
    clock::now,
    drivers::{Held, RunPlace},
    error::RunsError,
    events::{add_cancel, resume_events},
    service::{Person, info},
};
use windlass_engine::execute::DriveError;
use windlass_journal::{Event, Message, RunCancelled, RunId, RunJournal};
use windlass_world::value::Redactor;

impl Here {
    /// Resumes a run that this service was driving when it ended.
    pub(super) fn take_up_again(&self, id: &RunId) -> Result<(), RunsError> {
        // The run was never begun, and its start was never answered.
        if !self.exists(id)? {
            return self.drivers.book().done(id);
        }
        let mut held = self.take(id)?;
        if held.state.outcome.is_some() {
            return self.drivers.book().done(id);
        }
        let this = Person {
            name: "windlass serve".into(),
            via: None,
        };
        let mut events = resume_events(&held.program.workflow, &held.state, &this);
        if held.state.is_cancelled {
            add_cancel(&mut events, &this)
        } else {
            events.extend(unread_cancel(&held)?)
        }
        record(&mut held, events)?;
        self.drivers.drive(held, None);
        Ok(())
    }

    /// Takes a run that no process drives.
    pub(super) fn take(&self, id: &RunId) -> Result<Held, RunsError> {
        self.refuse_missing(id)?;
        let (run, state) = self.journal.adopt(id)?;
        let program = self.program(id, info(&state)?)?;
        Ok(Held {
            run,
            program,
            state,
        })
    }

    /// Records events of a run, and continues to drive it.
    pub(super) fn go(&self, held: Held, events: Vec<Event>) -> Result<(), RunsError> {
        let place = self.drivers.place()?;
        self.go_in(held, events, Some(place))
    }

    /// Like [`Here::go`]; without a place, the number of driven runs is not limited.
    pub(super) fn go_in(
        &self,
        mut held: Held,
        events: Vec<Event>,
        place: Option<RunPlace>,
    ) -> Result<(), RunsError> {
        self.drivers.book().drives(held.run.id())?;
        record(&mut held, events)?;
        self.drivers.drive(held, place);
        Ok(())
    }

    /// Like [`Here::take`]; `why` is the error if the run is being driven.
    pub(super) fn take_idle(&self, id: &RunId, why: &str) -> Result<Held, RunsError> {
        self.take(id).map_err(|error| match error.code {
            "run-owned" => RunsError::conflict("run-owned", format!("run {id}: {why}")),
            _ => error,
        })
    }
}

/// Returns the last cancel that was sent to the process that drove a run, if the process ended before it read the cancel: the sender has been
/// informed that the run is being cancelled. A cancel from before the last resume does not count.
fn unread_cancel(held: &Held) -> Result<Option<Event>, RunsError> {
    let messages = held.run.messages(0)?.into_iter();
    let mut cancels = messages.filter_map(|(_, at, message)| match message {
        Message::Cancel { requester, via } => {
            Some((at, Event::RunCancelled(RunCancelled { requester, via })))
        }
        Message::Decide(_) => None,
    });
    let cancel = cancels.next_back();
    Ok(cancel
        .filter(|(at, _)| *at >= held.state.begun_at)
        .map(|(_, event)| event))
}

/// Records events of a run that is held, so that they are durable before anyone sees them.
fn record(held: &mut Held, events: Vec<Event>) -> Result<(), RunsError> {
    let (at, redactor) = (now(), Redactor::default());
    held.state.teach(&redactor);
    let mut recorded = Vec::new();
    for event in events {
        let event = event.redacted(&redactor);
        held.state.apply(&event, at).map_err(DriveError::from)?;
        recorded.push((event, at));
    }
    Ok(RunJournal::append(&held.run, recorded)?)
}
