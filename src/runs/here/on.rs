use crate::{
    clock::now,
    doubt::{DoubtAnswers, all_answered, is_of_undo},
    drivers::Held,
    error::RunsError,
    service::Person,
};
use windlass_engine::{
    compile::Workflow,
    decide,
    execute::DriveError,
    journal::{Event, Message, RunCancelled, RunJournal, RunResumed, State, UndoStarted},
};
use windlass_world::value::Redactor;

/// Returns the events with which an idle run continues.
pub fn goes_on(workflow: &Workflow, state: &State, who: &Person) -> Vec<Event> {
    if state.is_undoing {
        return vec![undo_started(who)];
    }
    let mut events = decide::on_resume(workflow, state, &who.name);
    for event in &mut events {
        if let Event::RunResumed(RunResumed { via, .. })
        | Event::RunCancelled(RunCancelled { via, .. }) = event
        {
            via.clone_from(&who.via);
        }
    }
    events
}

/// Returns the event of an undo that begins.
pub fn undo_started(who: &Person) -> Event {
    Event::UndoStarted(UndoStarted {
        requester: who.name.clone(),
        via: who.via.clone(),
        error: None,
    })
}

/// Returns the events of an undo: what a person says of calls in doubt comes first.
///
/// # Errors
/// The same as of [`all_answered`].
pub(crate) fn undoes(
    state: &State,
    answers: &DoubtAnswers,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    let mut events = vec![undo_started(who)];
    events.extend(all_answered(state, &events, answers, who)?);
    Ok(events)
}

/// Returns the events with which a run continues after answers about its calls in doubt.
///
/// # Errors
/// The same as of [`all_answered`].
pub(crate) fn goes_on_answered(
    workflow: &Workflow,
    state: &State,
    answers: &DoubtAnswers,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    if is_of_undo(state) {
        return undoes(state, answers, who);
    }
    let mut events = goes_on(workflow, state, who);
    events.extend(all_answered(state, &events, answers, who)?);
    Ok(events)
}

/// Returns the state of a run after its undo has begun, and calls in doubt have been answered.
///
/// # Errors
/// The same as of [`all_answered`].
pub(crate) fn undoing(state: &State, answers: &DoubtAnswers) -> Result<State, RunsError> {
    let this = Person::nobody();
    let mut events = Vec::new();
    if state.outcome.is_some() || !state.is_undoing {
        events.push(undo_started(&this));
    }
    events.extend(all_answered(state, &events, answers, &this)?);
    let (mut state, at) = (state.clone(), now());
    for event in &events {
        state.apply(event, at).map_err(DriveError::from)?;
    }
    Ok(state)
}

/// Adds a cancel to the events with which a run continues, unless it stays cancelled anyway.
pub fn add_cancel(events: &mut Vec<Event>, who: &Person) {
    if !events
        .iter()
        .any(|event| matches!(event, Event::RunCancelled(_)))
    {
        events.push(Event::RunCancelled(RunCancelled {
            requester: who.name.clone(),
            via: who.via.clone(),
        }));
    }
}

/// Returns the last cancel that was sent to the process that drove a run, if the process ended before it read the cancel: the sender has been
/// informed that the run is being cancelled. A cancel from before the last resume does not count.
pub(super) fn unread_cancel(held: &Held) -> Result<Option<Event>, RunsError> {
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
pub(super) fn record(held: &mut Held, events: Vec<Event>) -> Result<(), RunsError> {
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
