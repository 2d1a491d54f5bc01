use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{gate::Gate, observer::Observer};
use crate::{
    journal::{EffectState, Event, InstanceId, RunJournal},
    outside::Clients,
    script::{self, Ended, Host, Limits, Script, Stop},
    value::{FailureClass, StepError, Value, format_duration},
};

/// Everything one attempt needs; it owns it all and runs on a thread of its own.
pub(super) struct Attempt {
    pub run: Arc<RunJournal>,
    pub instance: InstanceId,
    pub script: Arc<Script>,
    pub inputs: BTreeMap<String, Value>,
    pub round: u32,
    pub recorded: Vec<EffectState>,
    pub timeout: Option<Duration>,
    pub clients: Clients,
    pub cancelled: Arc<AtomicBool>,
    pub cancellation: CancellationToken,
    pub observer: Arc<dyn Observer>,
    pub clock: fn() -> i64,
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
    /// Runs the script. Blocks; needs a stack of [`script::STACK_BYTES`].
    pub fn run(self, runtime: Handle) -> Finished {
        let limits = Limits {
            cancelled: self.cancelled.clone(),
            timeout: self.timeout,
        };
        let gate = Arc::new(Gate {
            run: self.run,
            runtime,
            instance: self.instance.clone(),
            round: self.round,
            recorded: self.recorded,
            cancelled: self.cancelled,
            cancellation: self.cancellation,
            deadline: self
                .timeout
                .map(|timeout| (Instant::now() + timeout, timeout)),
            observer: self.observer,
            clock: self.clock,
            progress: Mutex::default(),
        });
        let host = Host {
            effects: gate.clone(),
            clients: self.clients,
        };
        let result = script::run(&self.script, self.inputs, host, &limits).map_err(trouble);
        Finished {
            instance: self.instance,
            recorded: gate.take_events(),
            result,
        }
    }
}

fn trouble(ended: Ended) -> Trouble {
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
            .with_hint("a script must make the same calls for the same inputs: randomness and the clock come from `random` and `time`"),
            Some(FailureClass::Rejected),
        ),
        Ended::Stopped(Stop::InDoubt { position, call }) => failed(
            StepError::new(
                "in-doubt",
                format!("the process died inside call {position}, {call}, and nobody can tell whether it was done"),
            )
            .with_hint("look at the other side"),
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
