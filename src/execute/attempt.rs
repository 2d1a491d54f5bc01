use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    gate::{Gate, Purpose},
    observer::Observer,
};
use crate::{
    journal::{EffectState, Event, InstanceId, Round, RunJournal},
    outside::Clients,
    script::{self, Ended, Host, Limits, Script, Stop},
    value::{FailureClass, StepError, Value, format_duration},
};

/// Everything one attempt needs; it owns it all and runs on a thread of its own.
pub(super) struct Attempt {
    pub run: Arc<RunJournal>,
    pub instance: InstanceId,
    pub work: Work,
    pub round: u32,
    pub recorded: Vec<EffectState>,
    pub timeout: Option<Duration>,
    pub clients: Clients,
    pub cancelled: Arc<AtomicBool>,
    pub cancellation: CancellationToken,
    pub observer: Arc<dyn Observer>,
    pub clock: fn() -> i64,
}

/// What an attempt does.
pub(super) enum Work {
    Run {
        script: Arc<Script>,
        inputs: BTreeMap<String, Value>,
    },
    /// Reverses what another instance did.
    Undo {
        of: InstanceId,
        /// `None` if the workflow has the step no more.
        script: Option<Arc<Script>>,
        /// The newest first.
        rounds: Vec<Round>,
    },
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
    pub fn run(mut self, runtime: &Handle) -> Finished {
        let recorded = std::mem::take(&mut self.recorded);
        let gate = self.gate(
            runtime,
            &self.instance,
            self.round,
            recorded,
            Purpose::Forward,
        );
        let (result, recorded) = match &self.work {
            Work::Run { script, inputs } => {
                let host = self.host(&gate);
                let result = script::run(script, inputs.clone(), host, &self.limits());
                (result, gate.take_events())
            }
            Work::Undo { of, script, rounds } => {
                let mut events = Vec::new();
                let undone = self.undo(runtime, &gate, of, script.as_ref(), rounds, &mut events);
                events.extend(gate.take_events());
                (undone.map(|()| BTreeMap::new()), events)
            }
        };
        Finished {
            instance: self.instance,
            recorded,
            result: result.map_err(trouble),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            cancelled: self.cancelled.clone(),
            timeout: self.timeout,
        }
    }

    pub(super) fn host(&self, gate: &Arc<Gate>) -> Host {
        Host {
            effects: gate.clone(),
            clients: self.clients.clone(),
        }
    }

    pub(super) fn gate(
        &self,
        runtime: &Handle,
        instance: &InstanceId,
        round: u32,
        recorded: Vec<EffectState>,
        purpose: Purpose,
    ) -> Arc<Gate> {
        Arc::new(Gate {
            run: self.run.clone(),
            runtime: runtime.clone(),
            instance: instance.clone(),
            round,
            recorded,
            cancelled: self.cancelled.clone(),
            cancellation: self.cancellation.clone(),
            deadline: self
                .timeout
                .map(|timeout| (Instant::now() + timeout, timeout)),
            observer: self.observer.clone(),
            clock: self.clock,
            purpose,
            progress: Mutex::default(),
        })
    }
}

fn trouble(ended: Ended) -> Trouble {
    let failed = |error: StepError, class| Trouble::Failed { error, class };
    match ended {
        Ended::Failed(error) => {
            let class = error.failure.as_ref().map(|failure| failure.class);
            failed(error, class)
        }
        Ended::Stopped(Stop::Cancelled | Stop::Settled) => Trouble::Cancelled,
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
        Ended::Stopped(Stop::InDoubt { position, call }) => failed(
            StepError::new(
                "in-doubt",
                format!("the process died inside call {position}, {call}, and nobody can tell whether it was done"),
            )
            .with_hint(
                "look at the other side, then `windlass resume --answer STEP=done` (or `done:VALUE`, \
                 what the call would have given), or `--answer STEP=again`",
            ),
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
