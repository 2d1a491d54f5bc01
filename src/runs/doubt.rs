use serde_json::Value as Json;

use super::{error::RunsError, service::Person};
use crate::{
    journal::{Event, InstanceId, Position, State, Status},
    script::Class,
    value::Value,
};

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
    /// Milliseconds since 1970.
    pub at: i64,
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
        let call = last
            .filter(|effect| is_said || effect.call.class == Class::Unsure)
            .map(|effect| DoubtfulCall {
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

/// Makes the event of an answer about a step.
///
/// # Errors
/// A step of which nothing is in doubt, and an attempt without records of which somebody says that it was done.
pub fn answered(
    state: &State,
    step: &InstanceId,
    answer: &DoubtAnswer,
    who: &Person,
) -> Result<Event, RunsError> {
    let found = doubts(state).into_iter().find(|doubt| doubt.step == *step);
    let doubt = found.ok_or_else(|| {
        RunsError::conflict("bad-answer", format!("nothing in `{step}` is in doubt"))
    })?;
    let requester = who.name.clone();
    let step = step.clone();
    let effects = state.instance(&step).map_or(0, |i| i.effects.len());
    match (doubt.call, answer) {
        (Some(_), answer) => Ok(Event::EffectAnswered {
            step,
            position: Position(effects.saturating_sub(1) as u32),
            requester,
            done: match answer {
                DoubtAnswer::Done(value) => Some(value.clone()),
                DoubtAnswer::Again => None,
            },
        }),
        (None, DoubtAnswer::Again) => Ok(Event::AttemptAnswered { step, requester }),
        (None, DoubtAnswer::Done(_)) => Err(RunsError::wrong(
            "bad-answer",
            format!("an attempt of `{step}` was lost with its records: it can only be made again"),
        )),
    }
}
