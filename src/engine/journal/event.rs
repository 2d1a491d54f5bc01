use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    id::{InstanceId, Position},
    message::{Verdict, Via},
};
use windlass_ground::Timestamp;
use windlass_script::{Class, Level};
use windlass_world::value::{Digest, Failure, StepError, Value};

/// What can happen in a run. `V` is [`Value`] in memory, and its sealed form on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<V = Value> {
    RunStarted {
        workflow: String,
        /// The file as the user named it, and its path within the frozen files.
        file: String,
        /// The folder that `file` was named from, absolute; runs before it was kept have none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        folder: String,
        main: String,
        /// Digests all frozen files.
        program: Digest,
        target: String,
        /// The Kubernetes clusters that it speaks to, by their roles in the target.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        kube: BTreeSet<String>,
        /// The steps that it is limited to; empty for all.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        chosen: BTreeSet<String>,
        /// The folder that scripts write to, absolute.
        out: String,
        params: V,
        /// A keyed digest of the secrets among the params; `None` if there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secrets: Option<Digest>,
        requester: String,
        /// How the requester was authenticated, where a server did that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
        /// The version of windlass.
        version: String,
    },
    /// Steps that failed or were interrupted may run again.
    RunResumed {
        requester: String,
        /// As in [`Event::RunStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
        /// Those that failed, and stay so: the run went on without them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keeps: Vec<InstanceId>,
        /// The steps that the requester had run again from their start.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        redo: Vec<InstanceId>,
    },
    /// The run continues with other files or params; `edition` is that of the frozen files.
    RunEdited {
        requester: String,
        program: Digest,
        main: String,
        edition: u32,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        kube: BTreeSet<String>,
        params: V,
        /// As in [`Event::RunStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secrets: Option<Digest>,
    },
    RunCancelled {
        requester: String,
        /// As in [`Event::RunStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
    },
    /// Nothing can happen before an answer to an approval, and the process does not wait.
    RunSuspended,
    /// What the run did is reversed from here on, until [`Event::RunEnded`].
    UndoStarted {
        requester: String,
        /// As in [`Event::RunStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
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
        /// For a `fresh` step: what earlier attempts read is not replayed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_fresh: bool,
    },
    StepSucceeded {
        step: InstanceId,
        outputs: V,
    },
    StepFailed {
        step: InstanceId,
        error: StepError,
        /// `None` if it is not tried again by itself.
        retry_at: Option<Timestamp>,
    },
    StepSkipped {
        step: InstanceId,
        reason: String,
    },
    /// Cancelled in the middle; it may run again.
    StepInterrupted {
        step: InstanceId,
    },
    /// It runs again from the start, with new keys; what it did before is only known to an undo.
    StepReset {
        step: InstanceId,
    },
    /// It runs again, and replays what it did.
    StepReopened {
        step: InstanceId,
    },
    /// The step waits for a person.
    ApprovalAsked {
        step: InstanceId,
        attempt: u32,
        message: String,
        /// Of what is to be approved: the message, the files, the params.
        digest: Digest,
        /// When it is decided without anybody.
        deadline: Option<Timestamp>,
    },
    /// The answer, with which the step succeeds or fails at once.
    ApprovalDecided {
        step: InstanceId,
        verdict: Verdict,
        /// `timeout` if no answer came in time.
        approver: String,
        /// As in [`Event::RunStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
        comment: Option<String>,
        digest: Digest,
    },
    /// An answer reached the driver and did not count; its sender was not told.
    AnswerRefused {
        step: InstanceId,
        verdict: Verdict,
        approver: String,
        /// As in [`Event::RunStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
        comment: Option<String>,
        why: String,
    },
    /// The run, or the one step of it, holds the lock from here on.
    LockTaken {
        lock: String,
        step: Option<InstanceId>,
    },
    LockReleased {
        lock: String,
        step: Option<InstanceId>,
    },
    /// The call is about to be made.
    EffectIntended {
        step: InstanceId,
        position: Position,
        call: CallRecord,
        /// What was there before, as far as an undo needs it.
        #[serde(default = "none", skip_serializing_if = "Option::is_none")]
        before: Option<V>,
    },
    EffectEnded {
        step: InstanceId,
        position: Position,
        /// Present if no [`Event::EffectIntended`] came before.
        call: Option<CallRecord>,
        outcome: EffectOutcome<V>,
    },
    /// An undo, or the operator who started it, found out whether an effect in doubt was done.
    EffectSettled {
        step: InstanceId,
        /// Which round of the step's it belongs to.
        round: u32,
        position: Position,
        outcome: EffectOutcome<V>,
    },
    /// The operator says whether a call that can't be looked up was done: its result if it was
    /// done, nothing if it is to be made again.
    EffectAnswered {
        step: InstanceId,
        position: Position,
        requester: String,
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "present"
        )]
        done: Option<V>,
    },
    /// The operator says that an attempt whose records are lost did nothing beyond what is recorded.
    AttemptAnswered {
        step: InstanceId,
        requester: String,
    },
    Logged {
        step: InstanceId,
        level: Level,
        message: String,
    },
}

/// Reads a value that is there, which may be null.
fn present<'de, D, V>(deserializer: D) -> Result<Option<V>, D::Error>
where
    D: serde::Deserializer<'de>,
    V: Deserialize<'de>,
{
    V::deserialize(deserializer).map(Some)
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
    /// What it did has been reversed.
    Undone,
    /// What it did has been reversed in part; another undo continues from there.
    UndoFailed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Undone => "undone",
            Self::UndoFailed => "undo failed",
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
    /// It was in doubt, and turned out never to have happened.
    NotDone,
}

impl<V> EffectOutcome<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<EffectOutcome<W>, E> {
        Ok(match self {
            Self::Done(value) => EffectOutcome::Done(f(value)?),
            Self::Failed(failure) => EffectOutcome::Failed(failure),
            Self::NotDone => EffectOutcome::NotDone,
        })
    }
}

fn none<V>() -> Option<V> {
    None
}

impl<V> Event<V> {
    /// The step instance that it is about; `None` for the run itself.
    pub fn step(&self) -> Option<&InstanceId> {
        match self {
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::RunEdited { .. }
            | Self::RunCancelled { .. }
            | Self::RunSuspended
            | Self::UndoStarted { .. }
            | Self::RunEnded { .. } => None,
            Self::LockTaken { step, .. } | Self::LockReleased { step, .. } => step.as_ref(),
            Self::StepStarted { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepInterrupted { step }
            | Self::StepReset { step }
            | Self::StepReopened { step }
            | Self::ApprovalAsked { step, .. }
            | Self::ApprovalDecided { step, .. }
            | Self::AnswerRefused { step, .. }
            | Self::EffectIntended { step, .. }
            | Self::EffectEnded { step, .. }
            | Self::EffectSettled { step, .. }
            | Self::EffectAnswered { step, .. }
            | Self::AttemptAnswered { step, .. }
            | Self::Logged { step, .. } => Some(step),
        }
    }

    /// Converts every value in it.
    pub fn try_map<W, E>(self, mut f: impl FnMut(V) -> Result<W, E>) -> Result<Event<W>, E> {
        Ok(match self {
            Self::RunStarted {
                workflow,
                file,
                folder,
                main,
                program,
                target,
                kube,
                chosen,
                out,
                params,
                secrets,
                requester,
                via,
                version,
            } => {
                let params = f(params)?;
                Event::RunStarted {
                    chosen,
                    workflow,
                    file,
                    folder,
                    main,
                    program,
                    target,
                    kube,
                    out,
                    params,
                    secrets,
                    requester,
                    via,
                    version,
                }
            }
            Self::RunResumed {
                requester,
                via,
                keeps,
                redo,
            } => Event::RunResumed {
                requester,
                via,
                keeps,
                redo,
            },
            Self::RunCancelled { requester, via } => Event::RunCancelled { requester, via },
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
                is_fresh,
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
                is_fresh,
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
            Self::StepReopened { step } => Event::StepReopened { step },
            Self::RunEdited {
                requester,
                program,
                main,
                edition,
                kube,
                params,
                secrets,
            } => Event::RunEdited {
                requester,
                program,
                main,
                edition,
                kube,
                params: f(params)?,
                secrets,
            },
            Self::RunSuspended => Event::RunSuspended,
            Self::UndoStarted { requester, via } => Event::UndoStarted { requester, via },
            Self::ApprovalAsked {
                step,
                attempt,
                message,
                digest,
                deadline,
            } => Event::ApprovalAsked {
                step,
                attempt,
                message,
                digest,
                deadline,
            },
            Self::ApprovalDecided {
                step,
                verdict,
                approver,
                via,
                comment,
                digest,
            } => Event::ApprovalDecided {
                step,
                verdict,
                approver,
                via,
                comment,
                digest,
            },
            Self::AnswerRefused {
                step,
                verdict,
                approver,
                via,
                comment,
                why,
            } => Event::AnswerRefused {
                step,
                verdict,
                approver,
                via,
                comment,
                why,
            },
            Self::LockTaken { lock, step } => Event::LockTaken { lock, step },
            Self::LockReleased { lock, step } => Event::LockReleased { lock, step },
            Self::EffectIntended {
                step,
                position,
                call,
                before,
            } => Event::EffectIntended {
                step,
                position,
                call,
                before: before.map(&mut f).transpose()?,
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
                outcome: outcome.try_map(f)?,
            },
            Self::EffectSettled {
                step,
                round,
                position,
                outcome,
            } => Event::EffectSettled {
                step,
                round,
                position,
                outcome: outcome.try_map(f)?,
            },
            Self::EffectAnswered {
                step,
                position,
                requester,
                done,
            } => Event::EffectAnswered {
                step,
                position,
                requester,
                done: done.map(f).transpose()?,
            },
            Self::AttemptAnswered { step, requester } => Event::AttemptAnswered { step, requester },
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
