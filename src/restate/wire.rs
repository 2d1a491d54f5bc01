//! The messages between the services, and with the command line. All values in them are sealed JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use windlass_engine::execute::{Finished, Task, Trouble, Work};
use windlass_ground::Timestamp;
use windlass_journal::{
    EffectState, Event, InstanceId, JournalError, Link, Message, Round, RunId, Vault,
};
use windlass_script::{Fault, FrozenScript, InUse, Rules, Script, Stop};
use windlass_world::value::{FailureClass, Redactor, StepError, Value};

/// An order to a run: begin, continue, or undo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// When it was sent.
    pub at: Timestamp,
    /// How many events the run had when the order was made; the order is void if it has another number now.
    pub expects: u64,
    /// Events to apply first.
    pub events: Vec<Event<Json>>,
    /// The last message to the run at the time of the order; requests to stop up to that one were for earlier drivers.
    pub after_letter: u64,
    /// Frozen files that the run does not have yet, and their edition.
    pub files: Option<(u32, BTreeMap<String, String>)>,
    pub max_parallel: u16,
    /// Whether the order only records the events.
    pub is_only_record: bool,
    /// How long it waits for a lock with nothing else to do, in milliseconds; no limit if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_timeout: Option<u64>,
}

/// The result of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The run is over, or the events have been recorded.
    Done,
    /// The run has other events than the order expects.
    Void,
}

/// A run's events, starting with one page of its state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pages {
    pub links: Vec<Link>,
    /// The number of the page after them.
    pub next: u64,
    /// Whether there are no more pages.
    pub is_last: bool,
}

/// The driver of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Driving {
    /// The last invocation that drove the run, which may be gone.
    pub driver: Option<String>,
    /// The locks that it waits for, with their holders.
    pub waits: BTreeMap<String, String>,
    /// The lock for which it waited too long, which ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<GaveUp>,
}

/// A lock for which a run waited as long as its order allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaveUp {
    pub lock: String,
    /// The run that held it.
    pub run: RunId,
}

/// Messages to a run after the last one that was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Letters {
    pub letters: Vec<Letter>,
    /// When a lock was released, if that is the reason: the driver has no clock of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    pub number: u64,
    pub at: Timestamp,
    pub message: Message,
}

/// A driver's request for messages: the promise to resolve when there are some.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Listening {
    pub promise: String,
    /// The number of the last message that was read.
    pub after: u64,
}

/// The requester or holder of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub run: RunId,
    /// `None` for the run itself.
    pub step: Option<InstanceId>,
}

/// Where a run's steps run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    pub target: String,
    /// The Kubernetes clusters that the run uses.
    pub kube: BTreeSet<String>,
}

/// One attempt of one step, in the form that is sent to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    pub run: RunId,
    pub place: Place,
    /// The identity for which the run's secrets are sealed.
    pub sealed_to: String,
    /// When it was sent.
    pub at: Timestamp,
    pub instance: InstanceId,
    work: WorkParcel,
    script: Option<FrozenScript>,
    round: u32,
    #[serde(default)]
    attempt: u32,
    recorded: Vec<EffectState<Json>>,
    is_suspect: bool,
    #[serde(default)]
    is_fresh: bool,
    #[serde(default)]
    rules: Rules,
    /// In milliseconds.
    timeout: Option<u64>,
    /// Secrets of the run that others may quote to the attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    quotable: Vec<Json>,
}

/// The size limit of the run's secrets that an attempt receives besides those of its inputs: the oldest ones, which are those of the params.
const MOST_QUOTABLE_BYTES: usize = 64 << 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WorkParcel {
    Run {
        inputs: BTreeMap<String, Json>,
    },
    Undo {
        of: InstanceId,
        rounds: Vec<Round<Json>>,
        /// `None` from drivers that sent one script for all rounds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<BTreeMap<u32, FrozenScript>>,
        is_suspect: bool,
        #[serde(default, skip_serializing_if = "InUse::is_empty")]
        in_use: InUse,
    },
}

impl Parcel {
    pub fn pack(
        run: &RunId,
        place: Place,
        at: Timestamp,
        task: Task,
        vault: &Vault,
    ) -> Result<Self, JournalError> {
        let mut close = |value| vault.close(value);
        let mut bytes = 0;
        let quotable = task.redactor.secrets().into_iter().map(Value::Secret);
        let quotable = quotable
            // A replay must send the same data, so only secrets that already have a ciphertext are sent.
            .filter(|secret| vault.knows(secret))
            .map(&mut close)
            .take_while(|sealed| {
                bytes += sealed.as_ref().map_or(0, |json| json.to_string().len());
                bytes <= MOST_QUOTABLE_BYTES
            })
            .collect::<Result<_, JournalError>>()?;
        let effects = task.recorded.into_iter();
        Ok(Self {
            run: run.clone(),
            place,
            sealed_to: vault.recipient()?,
            at,
            instance: task.instance,
            work: match task.work {
                Work::Run { inputs } => WorkParcel::Run {
                    inputs: inputs
                        .into_iter()
                        .map(|(key, value)| Ok((key, close(value)?)))
                        .collect::<Result<_, JournalError>>()?,
                },
                Work::Undo {
                    of,
                    rounds,
                    own,
                    is_suspect,
                    in_use,
                } => WorkParcel::Undo {
                    of,
                    own: Some(
                        own.into_iter()
                            .map(|(round, script)| (round, script.frozen()))
                            .collect(),
                    ),
                    is_suspect,
                    in_use,
                    rounds: rounds
                        .into_iter()
                        .map(|round| round.try_map(&mut close))
                        .collect::<Result<_, JournalError>>()?,
                },
            },
            script: task.script.map(|script| script.frozen()),
            round: task.round,
            attempt: task.attempt,
            recorded: effects
                .map(|effect| effect.try_map(&mut close))
                .collect::<Result<_, JournalError>>()?,
            is_suspect: task.is_suspect,
            is_fresh: task.is_fresh,
            rules: task.rules,
            timeout: task.timeout.map(|timeout| timeout.as_millis() as u64),
            quotable,
        })
    }

    /// Returns the task; `thaw` parses its script.
    ///
    /// # Errors
    /// A secret of another identity, or a script that this version of windlass can't parse.
    pub fn unpack(
        self,
        vault: &Vault,
        thaw: impl Fn(&FrozenScript) -> Result<Arc<Script>, Vec<Fault>>,
    ) -> Result<Task, UnpackError> {
        let mut open = |json| vault.open(json);
        let thaw = |frozen: FrozenScript| {
            thaw(&frozen).map_err(|faults| {
                let why = faults.first().map_or("", |fault| &fault.message);
                UnpackError::Script(frozen.path, why.into())
            })
        };
        let script = self.script.map(thaw).transpose()?;
        let redactor = Arc::<Redactor>::default();
        for secret in self.quotable {
            redactor.learn(&open(secret)?);
        }
        let effects = self.recorded.into_iter();
        Ok(Task {
            instance: self.instance,
            work: match self.work {
                WorkParcel::Run { inputs } => Work::Run {
                    inputs: inputs
                        .into_iter()
                        .map(|(key, json)| Ok((key, open(json)?)))
                        .collect::<Result<_, JournalError>>()?,
                },
                WorkParcel::Undo {
                    of,
                    rounds,
                    own,
                    is_suspect,
                    in_use,
                } => Work::Undo {
                    of,
                    own: match own {
                        Some(own) => own
                            .into_iter()
                            .map(|(round, frozen)| Ok((round, thaw(frozen)?)))
                            .collect::<Result<_, UnpackError>>()?,
                        None => {
                            let own = script.iter().filter(|script| script.has_undo);
                            let done = rounds.iter().filter(|round| round.outputs.is_some());
                            let done: Vec<_> = done.map(|round| round.number).collect();
                            own.flat_map(|script| {
                                done.iter().map(move |round| (*round, script.clone()))
                            })
                            .collect()
                        }
                    },
                    is_suspect,
                    in_use,
                    rounds: rounds
                        .into_iter()
                        .map(|round| round.try_map(&mut open))
                        .collect::<Result<_, JournalError>>()?,
                },
            },
            script,
            round: self.round,
            attempt: self.attempt,
            recorded: effects
                .map(|effect| effect.try_map(&mut open))
                .collect::<Result<_, JournalError>>()?,
            is_suspect: self.is_suspect,
            is_fresh: self.is_fresh,
            rules: self.rules,
            timeout: self.timeout.map(Duration::from_millis),
            is_finally: false,
            redactor,
        })
    }
}

/// The reason why a worker can't carry out a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("`{0}` can't be parsed by this version of windlass: {1}")]
    Script(String, String),
}

/// A worker whose secrets the run's driver could not open.
#[derive(Debug, thiserror::Error)]
#[error(
    "the run's secrets are sealed to {theirs}, and this worker has the identity of {own}: \
     give all workers the same STATE/identity.txt"
)]
pub(super) struct OtherIdentity {
    own: String,
    theirs: String,
}

impl OtherIdentity {
    pub fn refuse(own: String, theirs: &str) -> Result<(), Self> {
        if own == theirs {
            Ok(())
        } else {
            Err(Self {
                own,
                theirs: theirs.into(),
            })
        }
    }
}

/// One entry of an attempt's ledger, as Restate stores it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EntryParcel {
    pub at: Timestamp,
    /// The life of the attempt that made it.
    pub life: u64,
    pub events: Vec<Event<Json>>,
    pub stop: Option<Stop>,
}

/// How an attempt ended, in the form that is sent back to its run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub at: Timestamp,
    pub recorded: Vec<(Event<Json>, Timestamp)>,
    pub end: End,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Succeeded(BTreeMap<String, Json>),
    Failed {
        error: StepError,
        class: Option<FailureClass>,
    },
    Cancelled,
}

impl Report {
    pub fn pack(at: Timestamp, finished: Finished, vault: &Vault) -> Result<Self, JournalError> {
        let recorded = finished.recorded.into_iter();
        Ok(Self {
            at,
            recorded: recorded
                .map(|(event, at)| Ok((vault.close_event(event)?, at)))
                .collect::<Result<_, JournalError>>()?,
            end: match finished.result {
                Ok(outputs) => End::Succeeded(
                    outputs
                        .into_iter()
                        .map(|(key, value)| Ok((key, vault.close(value)?)))
                        .collect::<Result<_, JournalError>>()?,
                ),
                Err(Trouble::Failed { error, class }) => End::Failed { error, class },
                Err(Trouble::Cancelled | Trouble::Journal(_)) => End::Cancelled,
            },
        })
    }

    pub fn unpack(self, instance: InstanceId, vault: &Vault) -> Result<Finished, JournalError> {
        let recorded = self.recorded.into_iter();
        Ok(Finished {
            instance,
            recorded: recorded
                .map(|(event, at)| Ok((vault.open_event(event)?, at)))
                .collect::<Result<_, JournalError>>()?,
            result: match self.end {
                End::Succeeded(outputs) => Ok(outputs
                    .into_iter()
                    .map(|(key, json)| Ok((key, vault.open(json)?)))
                    .collect::<Result<_, JournalError>>()?),
                End::Failed { error, class } => Err(Trouble::Failed { error, class }),
                End::Cancelled => Err(Trouble::Cancelled),
            },
        })
    }
}
