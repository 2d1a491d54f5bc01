//! Undoes one step: reverses its effects, the last one first.

use std::{collections::BTreeMap, sync::Arc};

use super::{attempt::Attempt, gate::Gate, settle::Place};
use windlass_journal::{
    EffectEnded, EffectOutcome, EffectState, Event, InstanceId, Round, RunId, State,
};
use windlass_script::{
    self as script, Class, Done, EffectKey, Effects, Ended, InUse, Interruption, Reversal, Script,
};
use windlass_world::{
    outside::Clients,
    value::{Command, StepError, Value},
};

impl Attempt {
    /// Reverses every round of a step, newest first.
    pub(super) fn undo(
        &self,
        gate: &Arc<Gate>,
        of: &InstanceId,
        own: &BTreeMap<u32, Arc<Script>>,
        rounds: &[Round],
        mut in_use: InUse,
    ) -> Result<(), Ended> {
        for round in rounds {
            if let (Some(script), Some(outputs)) = (own.get(&round.number), &round.outputs) {
                let inputs = match round.inputs.clone() {
                    Value::Map(inputs) => Value::Map(self.read(inputs)?),
                    other => other,
                };
                let rules = self.task.rules;
                script::run_undo(
                    script,
                    &inputs,
                    outputs,
                    rules,
                    self.host(gate),
                    &self.limits,
                )?;
                continue;
            }
            for (position, effect) in round.effects.iter().enumerate().rev() {
                let place = Place {
                    step: of,
                    round: round.number,
                    position: position as u32,
                };
                let effect = gate.settle(place, effect, &self.clients)?;
                let key = gate.key_of(of, round.number, place.position);
                let reversal = reversal_of(&effect, Some(&key), &self.clients);
                if let Some(Reversal::By(way)) = reversal {
                    let way = way.sparing(&in_use);
                    in_use.note(&gate.perform(way.call()).map_err(ended)?);
                }
            }
        }
        Ok(())
    }
}

/// Returns the error for an attempt whose records are lost, so that it can't be undone.
pub(super) fn lost(run: &RunId, step: &InstanceId) -> StepError {
    let message = "an attempt was killed, and its last calls were not recorded";
    let answer = Command::new("undo")
        .arg(run)
        .option("--answer", format!("{step}=again"));
    StepError::new("undo-unknown", message).with_hint(format!(
        "check the remote side, reverse what the attempt did, then run `{answer}`"
    ))
}

/// Returns the reversal of an effect; `None` if the effect was not made, or only read.
pub fn reversal_of(
    effect: &EffectState,
    key: Option<&EffectKey>,
    clients: &Clients,
) -> Option<Reversal> {
    if effect.call.class == Class::Read {
        return None;
    }
    let result = match effect.is_unknown() {
        true => None,
        false if !effect.is_done() => return None,
        // `None` if the call was made but its answer was not as expected.
        false => effect.result(),
    };
    let done = Done {
        function: &effect.call.function,
        key: key.filter(|_| effect.is_unknown()),
        arguments: &effect.call.arguments,
        before: effect.before.as_ref().unwrap_or(&Value::Null),
        result,
    };
    Some(match script::reversal(done, clients) {
        Reversal::Never(_) if result.is_none() => doubtful(effect),
        reversal => reversal,
    })
}

fn doubtful(effect: &EffectState) -> Reversal {
    let function = &effect.call.function;
    Reversal::Never(format!("it is not known whether {function} was done"))
}

pub(super) fn ended(interruption: Interruption) -> Ended {
    match interruption {
        Interruption::Stopped(stop) => Ended::Stopped(stop, None),
        Interruption::Failed(failure) => {
            let mut error = StepError::new("outside-failure", failure.to_string());
            error.hint.clone_from(&failure.hint);
            error.failure = Some(failure);
            Ended::Failed(error)
        }
    }
}

/// Returns what is used by the things that a run's undo has left as they are so far.
pub(super) fn in_use(state: &State) -> InUse {
    let mut in_use = InUse::default();
    let undone = state.steps.iter().filter(|(id, _)| id.undone().is_some());
    let rounds = undone.flat_map(|(_, instance)| instance.rounds());
    let results = rounds
        .flat_map(|round| round.effects)
        .filter_map(EffectState::result);
    results.for_each(|given| in_use.note(given));
    in_use
}

/// Adds what is used by a thing that an undo has left as it is, if the event says so.
pub(super) fn note_uses(event: &Event, in_use: &mut InUse) {
    if let Event::EffectEnded(EffectEnded {
        step,
        outcome: EffectOutcome::Done(given),
        ..
    }) = event
        && step.undone().is_some()
    {
        in_use.note(given);
    }
}
