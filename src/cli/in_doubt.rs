//! `--answer`: what became of a call that nobody but the operator can tell.

use super::{failure::Failure, process::requester};
use crate::{
    compile::parse_value,
    execute::must_be_found_out,
    journal::{EffectOutcome, Event, InstanceId, NotAnInstance, Position, State},
    outside::Clients,
    value::Value,
};

/// The answer to the last call of a step.
pub fn in_step(state: &State, text: &str) -> Result<Event, Failure> {
    let answer = Answer::read(text)?;
    let step = &answer.step;
    let event = answer.to_last_call(state, step);
    let event = event.or_else(|| answer.to_lost_attempt(state, step));
    event.ok_or_else(|| wrong(format!("nothing in `{step}` is in doubt")))
}

/// The answer to the last call of a step's undo, or else to the newest call of the step itself that
/// its undo could not find out about.
pub fn in_undo(state: &State, text: &str, clients: &Clients) -> Result<Event, Failure> {
    let answer = Answer::read(text)?;
    let step = answer.step.undone().unwrap_or_else(|| answer.step.clone());
    if let Some(event) = answer.to_last_call(state, &step.undo()) {
        return Ok(event);
    }
    let rounds = state.instance(&step).map(|instance| instance.rounds());
    for round in rounds.into_iter().flatten() {
        let mut effects = round.effects.iter();
        if let Some(position) = effects.rposition(|e| must_be_found_out(e, clients)) {
            return Ok(Event::EffectSettled {
                step,
                round: round.number,
                position: Position(position as u32),
                outcome: match answer.done {
                    Some(value) => EffectOutcome::Done(value),
                    None => EffectOutcome::NotDone,
                },
            });
        }
    }
    let event = answer.to_lost_attempt(state, &step);
    event.ok_or_else(|| wrong(format!("nothing in the undo of `{step}` is in doubt")))
}

/// `STEP=done`, `STEP=done:VALUE` or `STEP=again`.
struct Answer {
    step: InstanceId,
    /// What the call gave; `None` if it was not done.
    done: Option<Value>,
}

impl Answer {
    fn read(text: &str) -> Result<Self, Failure> {
        let (step, answer) = text
            .rsplit_once("=again")
            .filter(|(_, rest)| rest.is_empty())
            .map(|(step, _)| (step, None))
            .or_else(|| {
                text.split_once("=done")
                    .map(|(step, value)| (step, Some(value)))
            })
            .ok_or_else(|| wrong(format!("`{text}` is no answer")))?;
        let done = match answer {
            None => None,
            Some("") => Some(Value::Null),
            Some(value) => {
                let value = value
                    .strip_prefix(':')
                    .ok_or_else(|| wrong(format!("`{text}` is no answer")))?;
                Some(
                    parse_value(value)
                        .map_err(|why| wrong(format!("`{value}` can't be read: {why}")))?,
                )
            }
        };
        Ok(Self {
            step: step
                .parse()
                .map_err(|why: NotAnInstance| wrong(why.to_string()))?,
            done,
        })
    }

    /// `None` if the last call of `instance` is not in doubt.
    fn to_last_call(&self, state: &State, instance: &InstanceId) -> Option<Event> {
        let effects = &state.instance(instance)?.effects;
        effects.last().filter(|last| last.is_open())?;
        Some(Event::EffectAnswered {
            step: instance.clone(),
            position: Position(effects.len() as u32 - 1),
            requester: requester(),
            done: self.done.clone(),
        })
    }

    /// An attempt that was lost may only be said to have done nothing more: what it did has no record.
    fn to_lost_attempt(&self, state: &State, instance: &InstanceId) -> Option<Event> {
        let is_suspect = state.instance(instance)?.is_suspect;
        (is_suspect && self.done.is_none()).then(|| Event::AttemptAnswered {
            step: instance.clone(),
            requester: requester(),
        })
    }
}

fn wrong(why: String) -> Failure {
    Failure::new("bad-answer", why).hint("write --answer STEP=done, STEP=done:VALUE or STEP=again")
}
