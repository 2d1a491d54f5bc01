use serde_json::Value as Json;

use super::{clock::now, error::RunsError, service::Person};
use windlass_engine::execute::{DriveError, found_out};
use windlass_ground::Timestamp;
use windlass_journal::{
    AttemptAnswered, EffectAnswered, EffectOutcome, EffectSettled, EffectState, Event, InstanceId,
    Outcome, Position, State, Status, StepSkipped,
};
use windlass_script::{check_answer, sealed_answer};
use windlass_world::{outside::Clients, value::Value};

/// A call in doubt: only a person can say whether it was made.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub step: InstanceId,
    pub call: Option<DoubtfulCall>,
}

/// The last call of a step; `None` in a [`Doubt`] if the attempt's calls have no record.
#[derive(Clone, Debug)]
pub struct DoubtfulCall {
    pub function: String,
    pub arguments: Json,
    pub at: Timestamp,
}

/// A person's answer about a call in doubt.
#[derive(Clone, Debug)]
pub enum DoubtAnswer {
    /// The call was made, and returned this.
    Done(Value),
    /// The call was not made: make it again.
    Again,
    /// In an undo: what the step did stays as it is, whatever is in doubt or can't be reversed.
    Leave,
}

/// A person's answers about several steps, in the order in which they apply.
pub type DoubtAnswers = [(InstanceId, DoubtAnswer)];

/// Lists the calls in doubt that prevent a resume of the run.
pub fn doubts(state: &State) -> Vec<Doubt> {
    if state.at_work() > 0 {
        return Vec::new();
    }
    let is_over = |status| matches!(status, Status::Succeeded | Status::Skipped);
    let open = state
        .steps
        .iter()
        .filter(|(_, instance)| !instance.is_composite() && !is_over(instance.status));
    let found = open.filter_map(|(step, instance)| {
        let is_said = instance.is_said_in_doubt();
        let of_undone = || {
            let step = step.undone().filter(|_| is_said)?;
            Some(unknown_of_undone(state, &step)?.2)
        };
        let own = instance.call_in_doubt();
        let call = own.or_else(of_undone).map(|effect| DoubtfulCall {
            function: effect.call.function.clone(),
            arguments: effect.call.arguments.clone(),
            at: effect.at,
        });
        (call.is_some() || instance.is_suspect && is_said).then(|| Doubt {
            step: step.clone(),
            call,
        })
    });
    found.collect()
}

/// Says whether an answer is about the undo of a run, which is running or has failed.
pub fn is_of_undo(state: &State) -> bool {
    state.is_undoing || state.outcome == Some(Outcome::UndoFailed)
}

/// Returns the event of an answer about a step. During an undo, the answer is about the last call of the step's undo, or else about the
/// newest call of the step itself that its undo could not settle. What the call returns as a secret becomes a secret.
///
/// # Errors
/// A step without a call in doubt, an attempt without records about which the answer is that it was made, or a result that the call
/// can't have.
fn answered(
    state: &State,
    step: &InstanceId,
    answer: &DoubtAnswer,
    who: &Person,
) -> Result<Event, RunsError> {
    if let DoubtAnswer::Leave = answer {
        return left(state, step, who);
    }
    let (step, event) = if !is_of_undo(state) {
        (step.clone(), to_last_call(state, step, answer, who)?)
    } else {
        let step = step.undone().unwrap_or_else(|| step.clone());
        let event = match to_last_call(state, &step.undo(), answer, who)? {
            None => to_call_of_undone(state, &step, answer)?,
            event => event,
        };
        (step, event)
    };
    if let Some(event) = event {
        return Ok(event);
    }
    let is_lost = state.instance(&step).is_some_and(|i| i.is_suspect);
    let was_left = state.status(&step.undo()) == Status::Skipped;
    match (is_lost, answer) {
        (_, DoubtAnswer::Again) if was_left => Ok(Event::StepReopened { step: step.undo() }),
        (true, DoubtAnswer::Again) => Ok(Event::AttemptAnswered(AttemptAnswered {
            step,
            requester: who.name.clone(),
        })),
        (true, _) => Err(RunsError::wrong(
            "bad-answer",
            format!(
                "the records of an attempt of `{step}` are lost, so the only valid answer is `again`"
            ),
        )),
        (false, _) => Err(RunsError::conflict(
            "bad-answer",
            format!("nothing in `{step}` is in doubt"),
        )),
    }
}

/// Returns the event that ends the undo of a step without reversing what the step did.
fn left(state: &State, step: &InstanceId, who: &Person) -> Result<Event, RunsError> {
    let wrong = |why: String| Err(RunsError::wrong("bad-answer", why));
    let step = step.undone().unwrap_or_else(|| step.clone());
    let Some(instance) = state.instance(&step) else {
        return wrong(format!("the run has not reached `{step}`"));
    };
    if !is_of_undo(state) {
        return wrong("`leave` is an answer of an undo".into());
    }
    if instance.is_composite() {
        return wrong(format!(
            "`{step}` contains other steps: name those that are to be left"
        ));
    }
    if state.status(&step.undo()) == Status::Succeeded {
        return wrong(format!("`{step}` has been undone"));
    }
    Ok(Event::StepSkipped(StepSkipped {
        step: step.undo(),
        reason: if who.name.is_empty() {
            // In a plan.
            "the answer leaves what it did as it is".to_owned()
        } else {
            format!("{} leaves what it did as it is", who.name)
        },
    }))
}

/// Returns the events of several answers, after the events `before`. Each answer applies to the state after the one before it.
///
/// # Errors
/// The same as of [`answered`], which includes a second answer if nothing else is in doubt; events that can't follow.
pub(crate) fn all_answered(
    state: &State,
    before: &[Event],
    answers: &DoubtAnswers,
    who: &Person,
) -> Result<Vec<Event>, RunsError> {
    let (mut state, at) = (state.clone(), now());
    for event in before {
        state.apply(event, at).map_err(DriveError::from)?;
    }
    let mut events = Vec::new();
    for (step, answer) in answers {
        let event = answered(&state, step, answer, who)?;
        state.apply(&event, at).map_err(DriveError::from)?;
        events.push(event);
    }
    Ok(events)
}

/// Adds answers about calls in doubt to the state of a run that has ended: the state from which a resume is planned.
///
/// # Errors
/// Answers that do not fit what is in doubt; events that can't follow.
pub fn after_answers(mut state: State, answers: &DoubtAnswers) -> Result<State, RunsError> {
    let outcome = state.outcome;
    // As a resume makes it: nothing follows in a run that has ended.
    state.outcome = None;
    for event in all_answered(&state, &[], answers, &Person::nobody())? {
        state.apply(&event, now()).map_err(DriveError::from)?;
    }
    state.outcome = outcome;
    Ok(state)
}

/// Returns `None` if the last call of `instance` is not in doubt. If a person has said only that it was done, its result may follow.
fn to_last_call(
    state: &State,
    id: &InstanceId,
    answer: &DoubtAnswer,
    who: &Person,
) -> Result<Option<Event>, RunsError> {
    let Some(instance) = state.instance(id) else {
        return Ok(None);
    };
    let adds_result =
        matches!(answer, DoubtAnswer::Done(_)) && instance.answered_without_result().is_some();
    let last = instance.effects.last();
    let Some(last) = last.filter(|last| last.is_open() || adds_result) else {
        return Ok(None);
    };
    Ok(Some(Event::EffectAnswered(EffectAnswered {
        step: id.clone(),
        position: Position(instance.effects.len() as u32 - 1),
        requester: who.name.clone(),
        done: said(last, answer)?,
    })))
}

fn to_call_of_undone(
    state: &State,
    step: &InstanceId,
    answer: &DoubtAnswer,
) -> Result<Option<Event>, RunsError> {
    let Some((round, position, effect)) = unknown_of_undone(state, step) else {
        return Ok(None);
    };
    Ok(Some(Event::EffectSettled(EffectSettled {
        step: step.clone(),
        round,
        position,
        outcome: said(effect, answer)?.map_or(EffectOutcome::NotDone, EffectOutcome::Done),
    })))
}

/// Returns the newest call of a step that its undo must know about and could not settle: the round, the position, and the effect.
fn unknown_of_undone<'s>(
    state: &'s State,
    step: &InstanceId,
) -> Option<(u32, Position, &'s EffectState)> {
    // No request is sent: the check is only whether one would be needed.
    let clients = Clients::nowhere();
    let rounds = state.instance(step)?.rounds();
    rounds.into_iter().find_map(|round| {
        let position = round
            .effects
            .iter()
            .rposition(|effect| found_out(effect, &clients).is_some())?;
        let effect = &round.effects[position];
        Some((round.number, Position(position as u32), effect))
    })
}

/// Returns the result of a call according to a person; `None` if the call was not made. It is as secret as the call's own result.
fn said(effect: &EffectState, answer: &DoubtAnswer) -> Result<Option<Value>, RunsError> {
    let DoubtAnswer::Done(value) = answer else {
        return Ok(None);
    };
    let function = &effect.call.function;
    check_answer(function, value).map_err(|why| RunsError::wrong("bad-answer", why))?;
    let record = Value::from_json(effect.call.arguments.clone());
    Ok(Some(sealed_answer(function, &record, value.clone())))
}
