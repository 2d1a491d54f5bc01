use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{gate::Gate, observer::Observer, substrate::Ledger, undo::lost};
use crate::{
    journal::{EffectState, Event, InstanceId, Round, RunId},
    outside::Clients,
    script::{self, Ended, Host, Limits, Script, Stop},
    value::{FailureClass, StepError, Value, format_duration},
};

/// What one attempt of a step has to do: all that a substrate must bring to wherever it is done.
pub(super) struct Task {
    pub instance: InstanceId,
    pub work: Work,
    /// `None` for the undo of a step that the workflow has no more.
    pub script: Option<Arc<Script>>,
    pub round: u32,
    pub recorded: Vec<EffectState>,
    pub timeout: Option<Duration>,
    /// An attempt before it was lost with its records: whatever it does may have been done.
    pub is_suspect: bool,
    /// A cancel of the run leaves it alone.
    pub is_finally: bool,
}

/// What an attempt does.
pub(super) enum Work {
    Run {
        inputs: BTreeMap<String, Value>,
    },
    /// Reverses what another instance did.
    Undo {
        of: InstanceId,
        /// The newest first.
        rounds: Vec<Round>,
        /// An attempt of it was lost with its records.
        is_suspect: bool,
    },
}

/// A task, where it is done and with what.
pub(super) struct Attempt {
    pub run: RunId,
    pub task: Task,
    pub ledger: Arc<dyn Ledger>,
    pub clients: Clients,
    pub limits: Limits,
    pub observer: Arc<dyn Observer>,
}

/// How an attempt ended, with what it recorded on the way.
pub(super) struct Finished {
    pub instance: InstanceId,
    pub recorded: Vec<(Event, i64)>,
    pub result: Result<BTreeMap<String, Value>, Trouble>,
}

pub(super) enum Trouble {
    /// The attempt failed; `class` says whether another one may help.
    Failed {
        error: StepError,
        class: Option<FailureClass>,
    },
    Cancelled,
    /// The journal can't be written; the run must stop without another event.
    Journal(String),
}

impl Attempt {
    /// Does the work. Blocks; needs a stack of [`script::STACK_BYTES`].
    pub fn run(mut self) -> Finished {
        let recorded = std::mem::take(&mut self.task.recorded);
        if let Work::Undo { of, is_suspect, .. } = &self.task.work
            && *is_suspect
        {
            let result = Err(Trouble::Failed {
                error: lost(of),
                class: Some(FailureClass::Rejected),
            });
            return Finished {
                result,
                instance: self.task.instance,
                recorded: Vec::new(),
            };
        }
        let (instance, round) = (&self.task.instance, self.task.round);
        let gate = self.gate(instance, round, recorded);
        let (result, recorded) = match (&self.task.work, &self.task.script) {
            (Work::Run { inputs }, Some(script)) => {
                let host = self.host(&gate);
                let result = script::run(script, inputs.clone(), host, &self.limits);
                (result, gate.take_events())
            }
            (Work::Run { .. }, None) => (Ok(BTreeMap::new()), Vec::new()),
            (Work::Undo { of, rounds, .. }, script) => {
                let undone = self.undo(&gate, of, script.as_ref(), rounds);
                (undone.map(|()| BTreeMap::new()), gate.take_events())
            }
        };
        Finished {
            result: result.map_err(|ended| trouble(ended, &self.run, &self.task.instance)),
            instance: self.task.instance,
            recorded,
        }
    }

    pub(super) fn host(&self, gate: &Arc<Gate>) -> Host {
        Host::new(gate.clone(), self.clients.clone())
    }

    pub(super) fn gate(
        &self,
        instance: &InstanceId,
        round: u32,
        recorded: Vec<EffectState>,
    ) -> Arc<Gate> {
        Arc::new(Gate {
            run: self.run.clone(),
            instance: instance.clone(),
            round,
            recorded,
            is_suspect: self.task.is_suspect,
            ledger: self.ledger.clone(),
            observer: self.observer.clone(),
            progress: Mutex::default(),
        })
    }
}

fn trouble(ended: Ended, run: &RunId, instance: &InstanceId) -> Trouble {
    let failed = |error: StepError, class| Trouble::Failed { error, class };
    match ended {
        Ended::Failed(error) => {
            let class = error.failure.as_ref().map(|failure| failure.class);
            failed(error, class)
        }
        Ended::Stopped(Stop::Cancelled) => Trouble::Cancelled,
        Ended::Stopped(Stop::Journal(why)) => Trouble::Journal(why),
        Ended::Stopped(Stop::TimedOut(timeout)) => failed(
            StepError::new(
                "timed-out",
                format!("the step took longer than its timeout of {}", format_duration(timeout)),
            ),
            Some(FailureClass::Timeout),
        ),
        Ended::Stopped(Stop::Diverged { position, recorded, made }) => failed(
            StepError::new(
                "diverged",
                format!(
                    "the script no longer makes the calls that the journal holds: \
                     call {position} was {recorded}, and is now {made}"
                ),
            )
            .with_hint(
                "a script must make the same calls for the same inputs: randomness and the clock come from \
                 `random` and `time`. `windlass resume --redo STEP` begins the step anew",
            ),
            Some(FailureClass::Rejected),
        ),
        Ended::Stopped(Stop::InDoubt { position, call, refused }) => {
            let message = match refused {
                Some(failure) => format!("call {position}, {call}, was done, and was not answered as expected: {failure}"),
                None => format!("call {position}, {call}, was cut off or its answer lost, and only you can tell whether it was done"),
            };
            let error = StepError::new("in-doubt", message).with_hint(how_to_answer(run, instance));
            failed(error, Some(FailureClass::Rejected))
        }
        Ended::Stopped(Stop::TooMuch { call, step_bytes }) => failed(
            StepError::new(
                "result-too-large",
                format!(
                    "with the result of {call} the calls of this step have given {step_bytes} bytes; 16 MiB is the most"
                ),
            )
            .with_hint("large things go to files; many of them to several steps, by `for_each`"),
            Some(FailureClass::Rejected),
        ),
        Ended::Stopped(Stop::TooLarge { call, bytes }) => failed(
            StepError::new(
                "result-too-large",
                format!("the result of {call} has {bytes} bytes; the journal takes 1 MiB"),
            )
            .with_hint("large things go to files"),
            Some(FailureClass::Rejected),
        ),
    }
}

/// A run that is being undone is not resumed, so its doubts are answered by another undo.
fn how_to_answer(run: &RunId, instance: &InstanceId) -> String {
    let (command, step) = match instance.undone() {
        Some(of) => ("undo", of),
        None => ("resume", instance.clone()),
    };
    format!(
        "look at the other side, then `windlass {command} {run} --answer {step}=done` (or `done:VALUE`, \
         what the call would have given), or `--answer {step}=again`"
    )
}
