use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    gate::Gate,
    observer::Observer,
    stage::Stage,
    substrate::Ledger,
    undo::{ended, lost},
};
use windlass_ground::Timestamp;
use windlass_journal::{EffectState, Event, InstanceId, Round, RunId};
use windlass_script::{
    self as script, Ended, Host, InUse, Interruption, Limits, Rules, Script, Stop,
};
use windlass_world::{
    outside::{Clients, resolve},
    value::{Command, FailureClass, Redactor, StepError, Value, format_duration},
};

/// The task of one attempt of a step: everything that a substrate must send to the place where the attempt runs.
pub struct Task {
    pub instance: InstanceId,
    pub work: Work,
    /// `None` for the undo of a step that is no longer in the workflow.
    pub script: Option<Arc<Script>>,
    pub round: u32,
    /// The number of this attempt of the instance, from 1.
    pub attempt: u32,
    pub recorded: Vec<EffectState>,
    pub timeout: Option<Duration>,
    /// An earlier attempt was lost with its records: it may have made any of the calls.
    pub is_suspect: bool,
    /// It is an attempt of a `fresh` step, which may only read.
    pub is_fresh: bool,
    pub rules: Rules,
    /// A cancel of the run does not stop it.
    pub is_finally: bool,
    /// Knows the secrets of the run; for an attempt on another machine, those that it receives and creates.
    pub redactor: Arc<Redactor>,
}

/// What an attempt does.
pub enum Work {
    Run {
        inputs: BTreeMap<String, Value>,
    },
    /// Reverses the effects of another instance.
    Undo {
        of: InstanceId,
        /// The rounds, newest first.
        rounds: Vec<Round>,
        /// The scripts whose `fn undo` reverses a round, by the round's number. The effects of the others are reversed one by one.
        own: BTreeMap<u32, Arc<Script>>,
        /// An attempt of that instance was lost with its records.
        is_suspect: bool,
        /// What this undo left as it is so far uses these.
        in_use: InUse,
    },
}

/// A task with the means to do it.
pub struct Attempt {
    pub run: RunId,
    pub task: Task,
    pub ledger: Arc<dyn Ledger>,
    pub clients: Clients,
    pub limits: Limits,
    pub observer: Arc<dyn Observer>,
    /// A test's replacement for the outside.
    pub stage: Option<Arc<dyn Stage>>,
}

/// How an attempt ended, with the events that it recorded.
pub struct Finished {
    pub instance: InstanceId,
    pub recorded: Vec<(Event, Timestamp)>,
    pub result: Result<BTreeMap<String, Value>, Trouble>,
}

pub enum Trouble {
    /// The attempt failed; `class` decides whether it is retried.
    Failed {
        error: StepError,
        class: Option<FailureClass>,
    },
    Cancelled,
    /// The journal can't be written; the run must stop without another event.
    Journal(String),
}

impl Attempt {
    /// Runs the attempt. Blocks; needs a stack of [`script::STACK_BYTES`].
    pub fn run(mut self) -> Finished {
        let recorded = std::mem::take(&mut self.task.recorded);
        self.task.teach(&recorded);
        if let Work::Undo { of, is_suspect, .. } = &self.task.work
            && *is_suspect
        {
            let result = Err(Trouble::Failed {
                error: lost(&self.run, of),
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
                let result = self.read(inputs.clone()).and_then(|inputs| {
                    let rules = self.task.rules;
                    script::run(script, inputs, rules, self.host(&gate), &self.limits)
                });
                (result, gate.take_events())
            }
            (Work::Run { .. }, None) => (Ok(BTreeMap::new()), Vec::new()),
            (
                Work::Undo {
                    of,
                    rounds,
                    own,
                    in_use,
                    ..
                },
                _,
            ) => {
                let undone = self.undo(&gate, of, own, rounds, in_use.clone());
                (undone.map(|()| BTreeMap::new()), gate.take_events())
            }
        };
        let redactor = &self.task.redactor;
        let result = result.map_err(|ended| trouble(ended, &self.run, &self.task.instance));
        Finished {
            result: redacted(result, redactor),
            instance: self.task.instance,
            recorded,
        }
    }

    /// Reads the secrets to which the inputs refer: again in each attempt, and without recording them.
    pub(super) fn read(
        &self,
        inputs: BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>, Ended> {
        if !inputs.values().any(Value::holds_reference) {
            return Ok(inputs);
        }
        let reading = resolve(&self.clients.secrets, Value::Map(inputs));
        let mut read = None;
        self.ledger.waits(Box::new(|| {
            read = Some(Handle::current().block_on(reading));
        }));
        let read = read.expect("the ledger does what it is given");
        match read.map_err(|failure| ended(Interruption::Failed(failure)))? {
            Value::Map(inputs) => {
                let inputs_read = inputs.values();
                inputs_read.for_each(|input| self.task.redactor.learn(input));
                Ok(inputs)
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    pub(super) fn host(&self, gate: &Arc<Gate>) -> Host {
        let trace = self.stage.as_ref().and_then(|stage| stage.trace());
        Host::new(gate.clone(), self.clients.clone()).traced(trace)
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
            attempt: self.task.attempt,
            recorded,
            is_suspect: self.task.is_suspect,
            is_fresh: self.task.is_fresh,
            ledger: self.ledger.clone(),
            observer: self.observer.clone(),
            stage: self.stage.clone(),
            redactor: self.task.redactor.clone(),
            progress: Mutex::default(),
        })
    }
}

impl Task {
    /// Teaches the redactor the secrets that the attempt receives.
    fn teach(&self, recorded: &[EffectState]) {
        let redactor = &*self.redactor;
        recorded.iter().for_each(|effect| effect.teach(redactor));
        match &self.work {
            Work::Run { inputs } => inputs.values().for_each(|input| redactor.learn(input)),
            Work::Undo { rounds, .. } => rounds.iter().for_each(|round| round.teach(redactor)),
        }
    }
}

/// Returns the attempt's outputs as they are recorded. They include secrets that the script created.
fn redacted(
    result: Result<BTreeMap<String, Value>, Trouble>,
    redactor: &Redactor,
) -> Result<BTreeMap<String, Value>, Trouble> {
    match result {
        Ok(outputs) => {
            outputs.values().for_each(|value| redactor.learn(value));
            match redactor.value(Value::Map(outputs)) {
                Value::Map(outputs) => Ok(outputs),
                _ => Ok(BTreeMap::new()),
            }
        }
        Err(Trouble::Failed { error, class }) => Err(Trouble::Failed {
            error: redactor.error(error),
            class,
        }),
        Err(other) => Err(other),
    }
}

fn trouble(ended: Ended, run: &RunId, instance: &InstanceId) -> Trouble {
    match ended {
        Ended::Failed(error) => {
            let class = error.failure.as_ref().map(|failure| failure.class);
            Trouble::Failed { error, class }
        }
        Ended::Stopped(Stop::Cancelled, _) => Trouble::Cancelled,
        Ended::Stopped(Stop::Journal(why), _) => Trouble::Journal(why),
        Ended::Stopped(stop, place) => {
            let class = match stop {
                Stop::TimedOut(_) => FailureClass::Timeout,
                _ => FailureClass::Rejected,
            };
            let mut error = stopped(stop, run, instance);
            error.place = place;
            Trouble::Failed {
                error,
                class: Some(class),
            }
        }
    }
}

fn stopped(stop: Stop, run: &RunId, instance: &InstanceId) -> StepError {
    match stop {
        Stop::TimedOut(timeout) => StepError::new(
            "timed-out",
            format!("the step took longer than its timeout of {}", format_duration(timeout)),
        ),
        Stop::Diverged { position, recorded, made } => StepError::new(
            "diverged",
            format!(
                "the script no longer makes the recorded calls: call {position} was {recorded}, and is now {made}"
            ),
        )
        .with_hint(how_to_start_again(run, instance)),
        Stop::InDoubt { position, call, refused: Some(failure) } if failure.is_done => StepError::new(
            "in-doubt",
            format!("call {position}, {call}, was done, but its answer was not as expected: {failure}"),
        )
        .with_hint(format!(
            "to continue: `{}` (VALUE is what the call returned; if the script does not use that: `done`)",
            answer(run, instance, "done:VALUE")
        )),
        Stop::InDoubt { position, call, refused } => {
            let message = match refused {
                Some(failure) => format!("it is not known whether call {position}, {call}, was done, because it failed: {failure}"),
                None => format!("call {position}, {call}, was interrupted or its answer was lost, so it is not known whether it was done"),
            };
            StepError::new("in-doubt", message).with_hint(how_to_answer(run, instance))
        }
        Stop::TooMuch { call, step_bytes } => StepError::new(
            "result-too-large",
            format!(
                "with {call}, the results of this step have {step_bytes} bytes; the limit is 16 MiB"
            ),
        )
        .with_hint("write large data to files instead, or split the work into several steps with `for_each`"),
        Stop::TooLarge { call, bytes } => StepError::new(
            "result-too-large",
            format!("the result of {call} has {bytes} bytes; the limit is 1 MiB"),
        )
        .with_hint("write large data to a file instead"),
        Stop::Cancelled => StepError::new("attempt-killed", "the step was cancelled"),
        Stop::Journal(why) => StepError::new("journal", why),
    }
}

/// Returns what to do about a script that no longer makes its recorded calls. An undo can't be started again, because a run that is being undone
/// is not resumed.
fn how_to_start_again(run: &RunId, instance: &InstanceId) -> String {
    let rule = "a script must make the same calls for the same inputs: use `random` and `time` for random values and the time";
    if let Some(of) = instance.undone() {
        let leave = Command::new("undo").arg(run);
        let leave = leave.option("--answer", format!("{of}=leave"));
        return format!("{rule}. To leave what the step did as it is: `{leave}`");
    }
    let again = Command::new("resume").arg(run).option("--redo", instance);
    format!("{rule}. To start the step again: `{again}`")
}

/// A run that is being undone is not resumed, so another undo answers its doubts.
pub(super) fn how_to_answer(run: &RunId, instance: &InstanceId) -> String {
    format!(
        "check the remote side. If the call was done: `{}` (or `done:VALUE` with the call's result). If it was not: `{}`",
        answer(run, instance, "done"),
        answer(run, instance, "again")
    )
}

fn answer(run: &RunId, instance: &InstanceId, what: &str) -> Command {
    let (name, step) = match instance.undone() {
        Some(of) => ("undo", of),
        None => ("resume", instance.clone()),
    };
    Command::new(name)
        .arg(run)
        .option("--answer", format!("{step}={what}"))
}
