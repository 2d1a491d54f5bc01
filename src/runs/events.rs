//! The events with which a person resumes, undoes or cancels a run.

use super::{
    clock::now,
    doubt::{DoubtAnswers, all_answered, is_of_undo},
    error::RunsError,
    service::Person,
};
use windlass_compile::Workflow;
use windlass_engine::{decide, execute::DriveError};
use windlass_journal::{
    Event, InstanceId, RunCancelled, RunEdited, RunId, RunResumed, State, UndoStarted,
};

/// Returns the events with which an idle run continues.
pub fn resume_events(workflow: &Workflow, state: &State, who: &Person) -> Vec<Event> {
    if state.is_undoing {
        return vec![undo_started(who)];
    }
    let mut events = decide::on_resume(workflow, state, &who.name);
    for event in &mut events {
        if let Event::RunResumed(RunResumed { via, .. }) = event {
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

/// Returns the events with which an idle run continues, and what a person says of its calls in doubt.
///
/// # Errors
/// Answers that do not fit what is in doubt; events that can't follow.
pub fn resume_events_answered(
    workflow: &Workflow,
    (id, state): (&RunId, &State),
    answers: &DoubtAnswers,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    let mut events = resume_events(workflow, state, who);
    if !answers.is_empty() {
        events.extend(all_answered(state, &events, answers, who)?);
        let state = after_events(state, &events)?;
        events.extend(decide::reset_outdated_finally(
            workflow,
            &state,
            id.as_str(),
        ));
    }
    Ok(events)
}

/// The changes with which a run is resumed.
pub struct Revising<'a> {
    /// Steps that run again from the start.
    pub redo: &'a [InstanceId],
    /// The edition of its files and params, if it continues with others.
    pub edited: Option<RunEdited>,
    /// The events of its plan.
    pub plan: Vec<Event>,
    pub answers: &'a DoubtAnswers,
}

/// Returns the events with which a run continues with changes. `workflow` is the one that it continues with: what failed there and may, stays
/// as it is.
///
/// # Errors
/// Answers that do not fit what is in doubt; events that can't follow.
pub fn revision_events(
    workflow: &Workflow,
    state: &State,
    revising: Revising,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    let mut resumed = decide::resumed(workflow, state, &who.name, revising.redo);
    if let Event::RunResumed(RunResumed { via, .. }) = &mut resumed {
        via.clone_from(&who.via);
    }
    let mut events = vec![resumed];
    events.extend(revising.edited.map(|edited| {
        Event::RunEdited(RunEdited {
            requester: who.name.clone(),
            ..edited
        })
    }));
    events.extend(all_answered(state, &events, revising.answers, who)?);
    events.extend(revising.plan);
    Ok(events)
}

/// Returns the events of an undo: what a person says of calls in doubt comes first.
///
/// # Errors
/// Answers that do not fit what is in doubt; events that can't follow.
pub fn undo_events(
    state: &State,
    answers: &DoubtAnswers,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    let mut events = vec![undo_started(who)];
    events.extend(all_answered(state, &events, answers, who)?);
    Ok(events)
}

/// Returns the events with which a run, or its undo, continues after answers about its calls in doubt.
///
/// # Errors
/// Answers that do not fit what is in doubt; events that can't follow.
pub(crate) fn answer_events(
    workflow: &Workflow,
    (id, state): (&RunId, &State),
    answers: &DoubtAnswers,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    if is_of_undo(state) {
        undo_events(state, answers, who)
    } else {
        resume_events_answered(workflow, (id, state), answers, who)
    }
}

/// Returns the state of a run after its undo has begun, and calls in doubt have been answered.
///
/// # Errors
/// Answers that do not fit what is in doubt; events that can't follow.
pub(crate) fn after_undo_start(state: &State, answers: &DoubtAnswers) -> Result<State, RunsError> {
    let this = Person::nobody();
    let mut events = Vec::new();
    if state.outcome.is_some() || !state.is_undoing {
        events.push(undo_started(&this));
    }
    events.extend(all_answered(state, &events, answers, &this)?);
    after_events(state, &events)
}

/// Returns the state of a run after these events.
///
/// # Errors
/// An event that can't follow.
pub fn after_events(state: &State, events: &[Event]) -> Result<State, RunsError> {
    let (mut state, at) = (state.clone(), now());
    for event in events {
        state.apply(event, at).map_err(DriveError::from)?;
    }
    Ok(state)
}

/// Adds a cancel to the events with which a run continues, unless it stays cancelled anyway.
pub fn add_cancel(events: &mut Vec<Event>, who: &Person) {
    let is_cancel = |event: &Event| matches!(event, Event::RunCancelled(_));
    if !events.iter().any(is_cancel) {
        events.push(Event::RunCancelled(RunCancelled {
            requester: who.name.clone(),
            via: who.via.clone(),
        }));
    }
}
