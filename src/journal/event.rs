use serde::{Deserialize, Serialize};

use super::id::{InstanceId, Position};
use crate::{
    script::{Class, Level},
    value::{Digest, Failure, StepError, Value},
};

/// What can happen in a run. `V` is [`Value`] in memory, and its sealed form on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<V = Value> {
    RunStarted {
        workflow: String,
        /// The file as the user named it, and its path within the frozen files.
        file: String,
        main: String,
        /// Digests all frozen files.
        program: Digest,
        target: String,
        /// The folder that scripts write to, absolute.
        out: String,
        params: V,
        requester: String,
        /// The version of windlass.
        version: String,
    },
    /// Steps that failed or were interrupted may run again.
    RunResumed {
        requester: String,
    },
    RunCancelled {
        requester: String,
    },
    RunEnded {
        outcome: Outcome,
        outputs: V,
        /// Why, if no step says it.
        error: Option<StepError>,
    },
    StepStarted {
        step: InstanceId,
        attempt: u32,
        /// With the first attempt.
        inputs: Option<V>,
        /// For a `for_each` step: key and item.
        items: Option<Vec<(String, V)>>,
        /// For a `workflow:` step.
        is_scope: bool,
    },
    StepSucceeded {
        step: InstanceId,
        outputs: V,
    },
    StepFailed {
        step: InstanceId,
        error: StepError,
        /// Milliseconds since 1970; `None` if it is not tried again by itself.
        retry_at: Option<i64>,
    },
    StepSkipped {
        step: InstanceId,
        reason: String,
    },
    /// Cancelled in the middle; it may run again.
    StepInterrupted {
        step: InstanceId,
    },
    /// The step and its effects are forgotten; it runs again from the start, with new keys.
    StepReset {
        step: InstanceId,
    },
    /// The call is about to be made.
    EffectIntended {
        step: InstanceId,
        position: Position,
        call: CallRecord,
    },
    EffectEnded {
        step: InstanceId,
        position: Position,
        /// Present if no [`Event::EffectIntended`] came before.
        call: Option<CallRecord>,
        outcome: EffectOutcome<V>,
    },
    Logged {
        step: InstanceId,
        level: Level,
        message: String,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Which call an effect was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub function: String,
    /// For people: secrets masked, long texts cut.
    pub arguments: serde_json::Value,
    /// Of function and whole arguments; tells whether a script still makes the same call.
    pub digest: Digest,
    pub class: Class,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectOutcome<V = Value> {
    Done(V),
    Failed(Failure),
}

impl<V> Event<V> {
    /// The step instance that it is about; `None` for the run itself.
    pub fn step(&self) -> Option<&InstanceId> {
        match self {
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::RunCancelled { .. }
            | Self::RunEnded { .. } => None,
            Self::StepStarted { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepInterrupted { step }
            | Self::StepReset { step }
            | Self::EffectIntended { step, .. }
            | Self::EffectEnded { step, .. }
            | Self::Logged { step, .. } => Some(step),
        }
    }

    /// Converts every value in it.
    pub fn try_map<W, E>(self, mut f: impl FnMut(V) -> Result<W, E>) -> Result<Event<W>, E> {
        Ok(match self {
            Self::RunStarted {
                workflow,
                file,
                main,
                program,
                target,
                out,
                params,
                requester,
                version,
            } => {
                let params = f(params)?;
                Event::RunStarted {
                    workflow,
                    file,
                    main,
                    program,
                    target,
                    out,
                    params,
                    requester,
                    version,
                }
            }
            Self::RunResumed { requester } => Event::RunResumed { requester },
            Self::RunCancelled { requester } => Event::RunCancelled { requester },
            Self::RunEnded {
                outcome,
                outputs,
                error,
            } => Event::RunEnded {
                outcome,
                outputs: f(outputs)?,
                error,
            },
            Self::StepStarted {
                step,
                attempt,
                inputs,
                items,
                is_scope,
            } => Event::StepStarted {
                step,
                attempt,
                inputs: inputs.map(&mut f).transpose()?,
                items: match items {
                    None => None,
                    Some(items) => Some(
                        items
                            .into_iter()
                            .map(|(key, v)| Ok((key, f(v)?)))
                            .collect::<Result<_, E>>()?,
                    ),
                },
                is_scope,
            },
            Self::StepSucceeded { step, outputs } => Event::StepSucceeded {
                step,
                outputs: f(outputs)?,
            },
            Self::StepFailed {
                step,
                error,
                retry_at,
            } => Event::StepFailed {
                step,
                error,
                retry_at,
            },
            Self::StepSkipped { step, reason } => Event::StepSkipped { step, reason },
            Self::StepInterrupted { step } => Event::StepInterrupted { step },
            Self::StepReset { step } => Event::StepReset { step },
            Self::EffectIntended {
                step,
                position,
                call,
            } => Event::EffectIntended {
                step,
                position,
                call,
            },
            Self::EffectEnded {
                step,
                position,
                call,
                outcome,
            } => Event::EffectEnded {
                step,
                position,
                call,
                outcome: match outcome {
                    EffectOutcome::Done(value) => EffectOutcome::Done(f(value)?),
                    EffectOutcome::Failed(failure) => EffectOutcome::Failed(failure),
                },
            },
            Self::Logged {
                step,
                level,
                message,
            } => Event::Logged {
                step,
                level,
                message,
            },
        })
    }
}
