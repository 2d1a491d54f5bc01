//! Undoing one step: what it did, the last first.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    attempt::Attempt,
    gate::Gate,
    settle::{Place, must_be_found_out},
};
use crate::{
    compile::{Action, Workflow},
    decide,
    journal::{EffectState, Instance, InstanceId, Round, RunId, State, Status},
    outside::Clients,
    script::{self, Class, Done, EffectKey, Effects, Ended, Interruption, Reversal, Script},
    value::{Command, StepError, Value},
};

impl Attempt {
    /// Reverses every round of a step, the newest first.
    pub(super) fn undo(
        &self,
        gate: &Arc<Gate>,
        of: &InstanceId,
        script: Option<&Arc<Script>>,
        rounds: &[Round],
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
            for (position, effect) in round.effects.iter().enumerate().rev() {
                let place = Place {
                    step: of,
                    round: round.number,
                    position: position as u32,
                };
                let effect = gate.settle(place, effect, &self.clients)?;
                let key = gate.key_of(of, round.number, place.position);
                let reversal = reversal_of(&effect, Some(&key), &self.clients);
                if let Some(Reversal::By { call, .. }) = reversal {
                    gate.perform(call).map_err(ended)?;
                }
            }
        }
        Ok(())
    }
}

/// What an attempt did whose records are lost can't be taken back.
pub(super) fn lost(run: &RunId, step: &InstanceId) -> StepError {
    let message = "an attempt was killed, and nobody knows what it did beyond what is recorded";
    let answer = Command::new("undo")
        .arg(run)
        .option("--answer", format!("{step}=again"));
    StepError::new("undo-unknown", message).with_hint(format!(
        "look at the other side, take back what is there, then `{answer}` says that there is nothing more"
    ))
}

fn own_way<'s>(script: Option<&'s Arc<Script>>, round: &Round) -> Option<&'s Arc<Script>> {
    script.filter(|script| script.has_undo && round.outputs.is_some())
}

/// `None` for an effect that was not done, or that only read.
fn reversal_of(
    effect: &EffectState,
    key: Option<&EffectKey>,
    clients: &Clients,
) -> Option<Reversal> {
    if effect.call.class == Class::Read {
        return None;
    }
    let result = match effect.is_unknown() {
        // Whether its own way back may be taken, only a person knows.
        true if effect.call.class == Class::Unsure => return Some(doubtful(effect)),
        true => None,
        false => Some(effect.result()?),
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
    Reversal::Never(format!("nobody knows whether {function} was done"))
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

/// How much of what a step did an undo has reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    Whole,
    Part,
    /// All of it stays.
    Nothing,
}

impl Undone {
    /// Of two steps together.
    pub fn and(self, other: Self) -> Self {
        match self == other {
            true => self,
            false => Self::Part,
        }
    }
}

/// Says of each step whose undo has succeeded how much of it is reversed; of steps that left nothing,
/// nothing.
pub fn undone(workflow: &Workflow, state: &State) -> BTreeMap<InstanceId, Undone> {
    let clients = Clients::nowhere();
    let mut found: BTreeMap<InstanceId, Undone> = BTreeMap::new();
    for id in decide::undo_order(workflow, state) {
        if state.status(&id.undo()) != Status::Succeeded {
            continue;
        }
        for item in items_of(workflow, state, &id, &clients) {
            let reached = match item.kind {
                UndoKind::Stays => Undone::Nothing,
                UndoKind::Reversed | UndoKind::Unknown => Undone::Whole,
            };
            let all = found.get(&id).map_or(reached, |known| known.and(reached));
            found.insert(id.clone(), all);
        }
    }
    found
}

/// Lists what an undo would do, in its order, without doing anything.
pub fn undo_plan(workflow: &Workflow, state: &State, clients: &Clients) -> Vec<UndoItem> {
    let order = decide::undo_order(workflow, state).into_iter();
    order
        .filter(|id| state.status(&id.undo()) != Status::Succeeded)
        .flat_map(|id| items_of(workflow, state, &id, clients))
        .collect()
}

fn items_of(
    workflow: &Workflow,
    state: &State,
    id: &InstanceId,
    clients: &Clients,
) -> Vec<UndoItem> {
    let mut items = Vec::new();
    let script = match decide::step_of(workflow, id).map(|step| &step.action) {
        Some(Action::Script(script)) => Some(script),
        _ => None,
    };
    let mut add = |what: String, kind| {
        items.push(UndoItem {
            step: id.clone(),
            what,
            kind,
        });
    };
    if state.instance(id).is_some_and(|i| i.is_suspect) {
        let what = "find out what an attempt did that was killed (a resume before the undo does)"
            .to_owned();
        add(what, UndoKind::Unknown);
    }
    for round in state.instance(id).into_iter().flat_map(Instance::rounds) {
        if let Some(script) = own_way(script, &round) {
            let what = format!("run `fn undo` of {}", script.path);
            add(what, UndoKind::Reversed);
            continue;
        }
        for effect in round.effects.iter().rev() {
            if must_be_found_out(effect, clients) {
                let function = &effect.call.function;
                let what = format!("find out whether {function} was done");
                add(what, UndoKind::Unknown);
                continue;
            }
            match reversal_of(effect, None, clients) {
                Some(Reversal::By { what, .. }) => add(what, UndoKind::Reversed),
                Some(Reversal::Never(what)) => add(what, UndoKind::Stays),
                Some(Reversal::Nothing) | None => {}
            }
        }
    }
    items
}
