//! Undoing one step: what it did, the last first.

use std::sync::Arc;

use super::{
    attempt::Attempt,
    gate::{Gate, Purpose},
};
use crate::{
    compile::{Action, Workflow},
    decide,
    journal::{EffectState, Event, InstanceId, Round, State, Status},
    outside::Clients,
    script::{self, Class, Done, Effects, Ended, Interruption, Reversal, Script},
    value::{StepError, Value},
};

impl Attempt {
    /// Reverses every round of a step, the newest first. `events` takes what was found out about
    /// the step itself; what the undo does goes through `gate`.
    pub(super) fn undo(
        &self,
        gate: &Arc<Gate>,
        of: &InstanceId,
        script: Option<&Arc<Script>>,
        rounds: &[Round],
        events: &mut Vec<(Event, i64)>,
    ) -> Result<(), Ended> {
        for round in rounds {
            if let (Some(script), Some(outputs)) = (own_way(script, round), &round.outputs) {
                script::run_undo(
                    script,
                    &round.inputs,
                    outputs,
                    self.host(gate),
                    &self.limits,
                )?;
                continue;
            }
            let effects = match (script, round.effects.iter().any(EffectState::is_unknown)) {
                (Some(script), true) => self.settle(of, script, round, events)?,
                _ => round.effects.clone(),
            };
            for effect in effects.iter().rev() {
                if let Some(Reversal::By { call, .. }) = reversal_of(effect, &self.clients) {
                    gate.perform(call).map_err(ended)?;
                }
            }
        }
        Ok(())
    }

    /// Finds out what became of effects whose end nobody knows, by running the script as far as
    /// its records go.
    fn settle(
        &self,
        of: &InstanceId,
        script: &Script,
        round: &Round,
        events: &mut Vec<(Event, i64)>,
    ) -> Result<Vec<EffectState>, Ended> {
        let mut effects = round.effects.clone();
        let purpose = Purpose::Settle;
        let gate = self.gate(of, round.number, effects.clone(), purpose);
        let inputs = match &round.inputs {
            Value::Map(inputs) => inputs.clone(),
            _ => std::collections::BTreeMap::new(),
        };
        // However it ends: it only had to come as far as the records.
        let _ = script::run(script, inputs, self.host(&gate), &self.limits);
        let found = gate.take_events();
        for (event, _) in &found {
            if let Event::EffectSettled {
                position, outcome, ..
            } = event
            {
                effects[position.0 as usize].settled = Some(outcome.clone());
            }
        }
        events.extend(found);
        let still = effects
            .iter()
            .find(|effect| effect.is_unknown() && effect.call.class != Class::Unsure);
        match still {
            None => Ok(effects),
            Some(effect) => {
                let message = format!(
                    "nobody knows whether {} was done, and it could not be looked up",
                    effect.call.function
                );
                Err(StepError::new("undo-unknown", message).into())
            }
        }
    }
}

fn own_way<'s>(script: Option<&'s Arc<Script>>, round: &Round) -> Option<&'s Arc<Script>> {
    script.filter(|script| script.has_undo && round.outputs.is_some())
}

/// `None` for an effect that was not done, or that only read.
fn reversal_of(effect: &EffectState, clients: &Clients) -> Option<Reversal> {
    if effect.call.class == Class::Read {
        return None;
    }
    let result = effect.result()?;
    let done = Done {
        function: &effect.call.function,
        arguments: &effect.call.arguments,
        before: effect.before.as_ref().unwrap_or(&Value::Null),
        result,
    };
    Some(script::reversal(done, clients))
}

fn ended(interruption: Interruption) -> Ended {
    match interruption {
        Interruption::Stopped(stop) => Ended::Stopped(stop),
        Interruption::Failed(failure) => {
            let mut error = StepError::new("outside-failure", failure.to_string());
            error.hint.clone_from(&failure.hint);
            error.failure = Some(failure);
            Ended::Failed(error)
        }
    }
}

/// One thing that an undo does, or can't do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoItem {
    pub step: InstanceId,
    pub what: String,
    pub kind: UndoKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoKind {
    /// It will be reversed.
    Reversed,
    /// Nobody knows whether it was done; it is looked up first.
    Unknown,
    /// It stays as it is.
    Stays,
}

/// Lists what an undo would do, in its order, without doing anything.
pub fn undo_plan(workflow: &Workflow, state: &State, clients: &Clients) -> Vec<UndoItem> {
    let mut items = Vec::new();
    for id in decide::undo_order(workflow, state) {
        if state.status(&id.undo()) == Status::Succeeded {
            continue;
        }
        let (Some(instance), step) = (state.instance(&id), decide::step_of(workflow, &id)) else {
            continue;
        };
        let script = match step.map(|step| &step.action) {
            Some(Action::Script(script)) => Some(script),
            _ => None,
        };
        for round in instance.rounds() {
            let mut add = |what: String, kind| {
                items.push(UndoItem {
                    step: id.clone(),
                    what,
                    kind,
                });
            };
            if let Some(script) = own_way(script, &round) {
                let what = format!("run `fn undo` of {}", script.path);
                add(what, UndoKind::Reversed);
                continue;
            }
            for effect in round.effects.iter().rev() {
                let function = &effect.call.function;
                if effect.is_unknown() {
                    match effect.call.class {
                        Class::Unsure => add(
                            format!("nobody knows whether {function} was done"),
                            UndoKind::Stays,
                        ),
                        _ => add(
                            format!("find out whether {function} was done"),
                            UndoKind::Unknown,
                        ),
                    }
                }
                match reversal_of(effect, clients) {
                    Some(Reversal::By { what, .. }) => add(what, UndoKind::Reversed),
                    Some(Reversal::Never(what)) => add(what, UndoKind::Stays),
                    Some(Reversal::Nothing) | None => {}
                }
            }
        }
    }
    items
}
