use std::{collections::BTreeMap, sync::Mutex};

use super::drivers::lock;
use crate::journal::{EffectOutcome, Event, State};

/// What was counted in the runs that this process drove, since it began.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// The runs that it drives now.
    pub driven: u64,
    /// Attempts of steps, by how they ended.
    pub steps: BTreeMap<&'static str, u64>,
    /// Calls of scripts, by their function and how they ended.
    pub effects: BTreeMap<(String, &'static str), u64>,
    /// Runs, by their outcome.
    pub runs: BTreeMap<&'static str, u64>,
}

impl Tallies {
    /// Counts events; `state` is the run with them.
    pub fn count(this: &Mutex<Self>, events: &[Event], state: &State) {
        let mut tallies = lock(this);
        for event in events {
            match event {
                Event::StepSucceeded { .. } => tallies.step("succeeded"),
                Event::StepFailed { .. } => tallies.step("failed"),
                Event::StepInterrupted { .. } => tallies.step("interrupted"),
                Event::StepSkipped { .. } => tallies.step("skipped"),
                Event::RunEnded { outcome, .. } => {
                    *tallies.runs.entry(outcome.as_str()).or_default() += 1;
                }
                Event::EffectEnded {
                    step,
                    position,
                    call,
                    outcome,
                } => {
                    let instance = state.instance(step);
                    let recorded = instance.and_then(|i| i.effects.get(position.0 as usize));
                    let call = call.as_ref().or(recorded.map(|effect| &effect.call));
                    let result = match outcome {
                        EffectOutcome::Done(_) => "done",
                        EffectOutcome::Failed(_) => "failed",
                        EffectOutcome::NotDone => "not_done",
                    };
                    if let Some(call) = call {
                        let key = (call.function.clone(), result);
                        *tallies.effects.entry(key).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, result: &'static str) {
        *self.steps.entry(result).or_default() += 1;
    }
}
