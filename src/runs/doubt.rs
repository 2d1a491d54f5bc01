use serde_json::Value as Json;

use super::{error::RunsError, service::Person};
use windlass_engine::{
    execute::must_be_found_out,
    journal::{
        AttemptAnswered, EffectAnswered, EffectOutcome, EffectSettled, EffectState, Event,
        InstanceId, Outcome, Position, State, Status,
    },
};
use windlass_ground::Timestamp;
use windlass_script::{Class, sealed_answer};
use windlass_world::{outside::Clients, value::Value};

/// A call of which only a person can say whether it was done.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub step: InstanceId,
    pub call: Option<DoubtfulCall>,
}

/// The last call that a step made; `None` in a [`Doubt`] where what the attempt did has no record.
#[derive(Clone, Debug)]
pub struct DoubtfulCall {
    pub function: String,
    pub arguments: Json,
    pub at: Timestamp,
}

/// What a person says of a call in doubt.
#[derive(Clone, Debug)]
pub enum DoubtAnswer {
    /// It was done, and gave this.
    Done(Value),
    /// It was not done: it is made again.
    Again,
}

/// Lists the calls that keep a run from being resumed until somebody says what became of them.
pub fn doubts(state: &State) -> Vec<Doubt> {
    if state.at_work() > 0 {
        return Vec::new();
    }
    let open = state
        .steps
        .iter()
        .filter(|(_, instance)| !instance.is_composite() && instance.status != Status::Succeeded);
    let found = open.filter_map(|(step, instance)| {
        let last = instance.effects.last().filter(|effect| effect.is_open());
        let is_said = instance
            .error
            .as_ref()
            .is_some_and(|error| error.code == "in-doubt");
        let own = last.filter(|effect| is_said || effect.call.class == Class::Unsure);
        let of_undone = || {
            let step = step.undone().filter(|_| is_said)?;
            Some(unknown_of_undone(state, &step)?.2)
        };
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

/// Whether an answer is about the undo of a run, which is running or has failed.
pub fn is_of_undo(state: &State) -> bool {
    state.is_undoing || state.outcome == Some(Outcome::UndoFailed)
}

/// Makes the event of an answer about a step. While a run is undone, it is about the last call of the step's undo, or else about the
/// newest call of the step itself that its undo could not find out about. What the call gives as a secret becomes one.
///
/// # Errors
/// A step of which nothing is in doubt, and an attempt without records of which somebody says that it was done.
pub fn answered(
    state: &State,
    step: &InstanceId,
    answer: &DoubtAnswer,
    who: &Person,
) -> Result<Event, RunsError> {
    let (step, event) = match is_of_undo(state) {
        false => (step.clone(), to_last_call(state, step, answer, who)),
        true => {
            let step = step.undone().unwrap_or_else(|| step.clone());
            let event = to_last_call(state, &step.undo(), answer, who);
            let event = event.or_else(|| to_call_of_undone(state, &step, answer));
            (step, event)
        }
    };
    if let Some(event) = event {
        return Ok(event);
    }
    let is_lost = state.instance(&step).is_some_and(|i| i.is_suspect);
    match (is_lost, answer) {
        (true, DoubtAnswer::Again) => Ok(Event::AttemptAnswered(AttemptAnswered {
            step,
            requester: who.name.clone(),
        })),
        (true, DoubtAnswer::Done(_)) => Err(RunsError::wrong(
            "bad-answer",
            format!("an attempt of `{step}` was lost with its records: it can only be made again"),
        )),
        (false, _) => Err(RunsError::conflict(
            "bad-answer",
            format!("nothing in `{step}` is in doubt"),
        )),
    }
}

/// `None` if the last call of `instance` is not in doubt.
fn to_last_call(
    state: &State,
    instance: &InstanceId,
    answer: &DoubtAnswer,
    who: &Person,
) -> Option<Event> {
    let effects = &state.instance(instance)?.effects;
    let last = effects.last().filter(|last| last.is_open())?;
    Some(Event::EffectAnswered(EffectAnswered {
        step: instance.clone(),
        position: Position(effects.len() as u32 - 1),
        requester: who.name.clone(),
        done: said(last, answer),
    }))
}

fn to_call_of_undone(state: &State, step: &InstanceId, answer: &DoubtAnswer) -> Option<Event> {
    let (round, position, effect) = unknown_of_undone(state, step)?;
    Some(Event::EffectSettled(EffectSettled {
        step: step.clone(),
        round,
        position,
        outcome: said(effect, answer).map_or(EffectOutcome::NotDone, EffectOutcome::Done),
    }))
}

/// Finds the newest call of a step that its undo has to know about and could not find out: its round, its place there, and itself.
fn unknown_of_undone<'s>(
    state: &'s State,
    step: &InstanceId,
) -> Option<(u32, Position, &'s EffectState)> {
    // Nothing is asked: only whether something would have to be.
    let clients = Clients::nowhere();
    let rounds = state.instance(step)?.rounds();
    rounds.into_iter().find_map(|round| {
        let position = round
            .effects
            .iter()
            .rposition(|effect| must_be_found_out(effect, &clients))?;
        let effect = &round.effects[position];
        Some((round.number, Position(position as u32), effect))
    })
}

/// What a call gave by what a person says; `None` if it was not done. It is as secret as what the call itself would have given.
fn said(effect: &EffectState, answer: &DoubtAnswer) -> Option<Value> {
    match answer {
        DoubtAnswer::Done(value) => {
            let record = Value::from_json(effect.call.arguments.clone());
            Some(sealed_answer(&effect.call.function, &record, value.clone()))
        }
        DoubtAnswer::Again => None,
    }
}
