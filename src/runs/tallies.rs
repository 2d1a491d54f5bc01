use std::{collections::BTreeMap, sync::Mutex};

use windlass_ground::lock;
use windlass_journal::{
    EffectOutcome, Event, Instance, InstanceId, RunEnded, State, StepFailed, StepSkipped,
    StepSucceeded,
};

/// The counters of the runs that this process has driven since its start.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// The runs that it drives.
    pub driven: u64,
    /// Attempts of steps, by how they ended.
    pub steps: BTreeMap<&'static str, u64>,
    /// Calls of scripts, by their function and how they ended.
    pub effects: BTreeMap<(String, &'static str), u64>,
    /// Runs, by their outcome.
    pub runs: BTreeMap<&'static str, u64>,
}

/// The calls of a run that have been counted: for each instance, its round and the number of calls.
#[derive(Default)]
pub struct Counted(BTreeMap<InstanceId, (u32, usize)>);

impl Counted {
    /// Begins after the calls that a run has made already.
    pub fn of(state: &State) -> Self {
        let begun = state.steps.iter().filter(|(_, i)| !i.effects.is_empty());
        Self(
            begun
                .map(|(id, instance)| (id.clone(), counted(instance)))
                .collect(),
        )
    }
}

impl Tallies {
    /// Counts events of a run, and the calls of attempts that ended with them; `state` is the run after them.
    pub fn count(this: &Mutex<Self>, counted: &Mutex<Counted>, events: &[Event], state: &State) {
        let (mut tallies, mut counted) = (lock(this), lock(counted));
        for event in events {
            let (step, result) = match event {
                Event::StepSucceeded(StepSucceeded { step, .. }) => (step, "succeeded"),
                Event::StepFailed(StepFailed { step, .. }) => (step, "failed"),
                Event::StepInterrupted { step } => (step, "interrupted"),
                Event::StepSkipped(StepSkipped { step, .. }) => (step, "skipped"),
                Event::RunEnded(RunEnded { outcome, .. }) => {
                    *tallies.runs.entry(outcome.as_str()).or_default() += 1;
                    continue;
                }
                _ => continue,
            };
            *tallies.steps.entry(result).or_default() += 1;
            if let Some(instance) = state.instance(step).filter(|i| !i.effects.is_empty()) {
                let known = counted.0.entry(step.clone()).or_default();
                tallies.calls(instance, known);
            }
        }
    }

    fn calls(&mut self, instance: &Instance, known: &mut (u32, usize)) {
        let from = if known.0 == instance.round {
            known.1
        } else {
            // The instance was reset, so its calls are new.
            0
        };
        for effect in instance.effects.iter().skip(from) {
            let result = match &effect.outcome {
                Some(EffectOutcome::Done(_)) => "done",
                Some(EffectOutcome::Failed(_)) => "failed",
                Some(EffectOutcome::NotDone) => "not_done",
                None => "in_doubt",
            };
            let key = (effect.call.function.clone(), result);
            *self.effects.entry(key).or_default() += 1;
        }
        *known = counted(instance);
    }
}

/// Returns what has been counted: a call that ended its attempt does not count, because it is made again at the same position.
fn counted(instance: &Instance) -> (u32, usize) {
    let is_open = instance
        .effects
        .last()
        .is_some_and(|last| last.ended_attempt);
    (
        instance.round,
        instance.effects.len() - usize::from(is_open),
    )
}
