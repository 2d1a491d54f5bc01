//! The data of a run's events: a struct for each event that has fields. They are stored as fields of the event's JSON object, so
//! their names and defaults are part of the journal's format.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    event::{CallRecord, EffectOutcome, Outcome},
    id::{InstanceId, Position},
    message::{Verdict, Via},
};
use windlass_ground::Timestamp;
use windlass_script::Level;
use windlass_world::value::{Digest, StepError, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted<V = Value> {
    pub workflow: String,
    /// The file as the user named it, and its path within the frozen files.
    pub file: String,
    /// The absolute path of the folder that `file` is relative to; empty in older runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    pub main: String,
    /// The digest of all frozen files.
    pub program: Digest,
    pub target: String,
    /// The Kubernetes clusters that it uses, by their roles in the target.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kube: BTreeSet<String>,
    /// The steps to which it is limited; empty for all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub chosen: BTreeSet<String>,
    /// The absolute path of the folder that scripts write to.
    pub out: String,
    pub params: V,
    /// A keyed digest of the secrets among the params; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Digest>,
    pub requester: String,
    /// How the requester was authenticated, if a server did that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The version of windlass.
    pub version: String,
    /// Whether outputs that are missing are errors. Runs of earlier versions read them as nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_strict: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResumed {
    pub requester: String,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The steps that failed and stay failed: the run continued without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<InstanceId>,
    /// The steps that the requester let run again from their start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redo: Vec<InstanceId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEdited<V = Value> {
    pub requester: String,
    pub program: Digest,
    pub main: String,
    pub edition: u32,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kube: BTreeSet<String>,
    pub params: V,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Digest>,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_strict: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCancelled {
    pub requester: String,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UndoStarted {
    pub requester: String,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The reason why the run undoes itself, if no step has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<StepError>>,
}

impl UndoStarted {
    /// The requester of an undo that begins because the run failed.
    const ON_FAILURE: &str = "on_failure";

    /// The undo of a run that failed, by `on_failure: undo`.
    pub fn on_failure(error: Option<StepError>) -> Self {
        Self {
            requester: Self::ON_FAILURE.into(),
            via: None,
            error: error.map(Box::new),
        }
    }

    /// Says whether it begins because the run failed.
    pub fn is_on_failure(&self) -> bool {
        self.requester == Self::ON_FAILURE
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnded<V = Value> {
    pub outcome: Outcome,
    pub outputs: V,
    /// The reason, if no step has it.
    pub error: Option<StepError>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStarted<V = Value> {
    pub step: InstanceId,
    pub attempt: u32,
    /// Present in the first attempt.
    pub inputs: Option<V>,
    /// For a `for_each` step: the key and value of each item.
    pub items: Option<Vec<(String, V)>>,
    /// For a `workflow:` step.
    pub is_scope: bool,
    /// For a `fresh` step: the reads of earlier attempts are not replayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_fresh: bool,
    /// The position of the first effect that is discarded, as in [`Instance::reads_again_from`](super::Instance).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_again_from: Option<Position>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSucceeded<V = Value> {
    pub step: InstanceId,
    pub outputs: V,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepFailed {
    pub step: InstanceId,
    pub error: StepError,
    /// `None` if it is not retried automatically.
    pub retry_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSkipped {
    pub step: InstanceId,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApprovalAsked {
    pub step: InstanceId,
    pub attempt: u32,
    pub message: String,
    /// The digest of what is to be approved: the message, the files, the params.
    pub digest: Digest,
    /// When the timeout decides.
    pub deadline: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApprovalDecided {
    pub step: InstanceId,
    pub verdict: Verdict,
    /// `timeout` if no answer came in time.
    pub approver: String,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    pub comment: Option<String>,
    pub digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerRefused {
    pub step: InstanceId,
    pub verdict: Verdict,
    pub approver: String,
    /// As in [`RunStarted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    pub comment: Option<String>,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockTaken {
    pub lock: String,
    pub step: Option<InstanceId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockReleased {
    pub lock: String,
    pub step: Option<InstanceId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectIntended<V = Value> {
    pub step: InstanceId,
    /// The position of an effect without an outcome if the state before it was read again.
    pub position: Position,
    pub call: CallRecord,
    /// The state before the call, as far as an undo needs it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub before: Option<V>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectEnded<V = Value> {
    pub step: InstanceId,
    pub position: Position,
    /// Present if there is no [`EffectIntended`] before.
    pub call: Option<CallRecord>,
    pub outcome: EffectOutcome<V>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectSettled<V = Value> {
    pub step: InstanceId,
    /// The round of the step that it belongs to.
    pub round: u32,
    pub position: Position,
    pub outcome: EffectOutcome<V>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "V: Deserialize<'de>"))]
pub struct EffectAnswered<V = Value> {
    pub step: InstanceId,
    pub position: Position,
    pub requester: String,
    #[serde(
        default = "none",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub done: Option<V>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptAnswered {
    pub step: InstanceId,
    pub requester: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    pub step: InstanceId,
    pub level: Level,
    pub message: String,
}

fn none<V>() -> Option<V> {
    None
}

/// Reads a value that is present, which may be null.
fn present<'de, D, V>(deserializer: D) -> Result<Option<V>, D::Error>
where
    D: serde::Deserializer<'de>,
    V: Deserialize<'de>,
{
    V::deserialize(deserializer).map(Some)
}

/// Convert every value in an event.
impl<V> RunStarted<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<RunStarted<W>, E> {
        Ok(RunStarted {
            params: f(self.params)?,
            workflow: self.workflow,
            file: self.file,
            folder: self.folder,
            main: self.main,
            program: self.program,
            target: self.target,
            kube: self.kube,
            chosen: self.chosen,
            out: self.out,
            secrets: self.secrets,
            requester: self.requester,
            via: self.via,
            version: self.version,
            is_strict: self.is_strict,
        })
    }
}

impl<V> RunEdited<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<RunEdited<W>, E> {
        Ok(RunEdited {
            params: f(self.params)?,
            requester: self.requester,
            program: self.program,
            main: self.main,
            edition: self.edition,
            kube: self.kube,
            secrets: self.secrets,
            is_strict: self.is_strict,
        })
    }
}

impl<V> RunEnded<V> {
    pub(super) fn try_map<W, E>(self, f: impl FnOnce(V) -> Result<W, E>) -> Result<RunEnded<W>, E> {
        Ok(RunEnded {
            outputs: f(self.outputs)?,
            outcome: self.outcome,
            error: self.error,
        })
    }
}

impl<V> StepStarted<V> {
    pub(super) fn try_map<W, E>(
        self,
        mut f: impl FnMut(V) -> Result<W, E>,
    ) -> Result<StepStarted<W>, E> {
        let inputs = self.inputs.map(&mut f).transpose()?;
        let items = self.items.map(|items| {
            let items = items.into_iter();
            items.map(|(key, v)| Ok((key, f(v)?))).collect()
        });
        Ok(StepStarted {
            inputs,
            items: items.transpose()?,
            step: self.step,
            attempt: self.attempt,
            is_scope: self.is_scope,
            is_fresh: self.is_fresh,
            reads_again_from: self.reads_again_from,
        })
    }
}

impl<V> StepSucceeded<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<StepSucceeded<W>, E> {
        Ok(StepSucceeded {
            outputs: f(self.outputs)?,
            step: self.step,
        })
    }
}

impl<V> EffectIntended<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<EffectIntended<W>, E> {
        Ok(EffectIntended {
            before: self.before.map(f).transpose()?,
            step: self.step,
            position: self.position,
            call: self.call,
        })
    }
}

impl<V> EffectEnded<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<EffectEnded<W>, E> {
        Ok(EffectEnded {
            outcome: self.outcome.try_map(f)?,
            step: self.step,
            position: self.position,
            call: self.call,
        })
    }
}

impl<V> EffectSettled<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<EffectSettled<W>, E> {
        Ok(EffectSettled {
            outcome: self.outcome.try_map(f)?,
            step: self.step,
            round: self.round,
            position: self.position,
        })
    }
}

impl<V> EffectAnswered<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<EffectAnswered<W>, E> {
        Ok(EffectAnswered {
            done: self.done.map(f).transpose()?,
            step: self.step,
            position: self.position,
            requester: self.requester,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Event;
    use serde_json::Value as Json;

    /// One event of each kind, byte for byte as in journals.
    const STORED: [&str; 28] = [
        r#"{"event":"run_started","workflow":"w","file":"w.yaml","folder":"/f","main":"w.yaml","program":"PROGRAM","target":"t","kube":["mgmt"],"chosen":["a"],"out":"/o","params":{"a":1},"secrets":"PROGRAM","requester":"r","via":{"how":"token","from":"127.0.0.1"},"version":"1"}"#,
        r#"{"event":"run_started","workflow":"w","file":"w.yaml","main":"w.yaml","program":"PROGRAM","target":"t","out":"/o","params":null,"requester":"r","version":"1"}"#,
        r#"{"event":"run_started","workflow":"w","file":"w.yaml","main":"w.yaml","program":"PROGRAM","target":"t","out":"/o","params":null,"requester":"r","version":"1","is_strict":true}"#,
        r#"{"event":"run_resumed","requester":"r","keeps":["a"],"redo":["b"]}"#,
        r#"{"event":"run_edited","requester":"r","program":"PROGRAM","main":"w.yaml","edition":2,"params":{}}"#,
        r#"{"event":"run_cancelled","requester":"r"}"#,
        r#"{"event":"run_suspended"}"#,
        r#"{"event":"undo_started","requester":"r"}"#,
        r#"{"event":"run_ended","outcome":"succeeded","outputs":{"a":1},"error":null}"#,
        r#"{"event":"step_started","step":"a","attempt":1,"inputs":{"x":1},"items":[["k",2]],"is_scope":false,"is_fresh":true}"#,
        r#"{"event":"step_started","step":"a","attempt":2,"inputs":null,"items":null,"is_scope":true}"#,
        r#"{"event":"step_succeeded","step":"a","outputs":{"x":1}}"#,
        r#"{"event":"step_failed","step":"a","error":ERROR,"retry_at":1795732441250}"#,
        r#"{"event":"step_skipped","step":"a","reason":"why"}"#,
        r#"{"event":"step_interrupted","step":"a"}"#,
        r#"{"event":"step_reset","step":"a"}"#,
        r#"{"event":"step_reopened","step":"a"}"#,
        r#"{"event":"approval_asked","step":"a","attempt":1,"message":"Go?","digest":"PROGRAM","deadline":1795732441250}"#,
        r#"{"event":"approval_decided","step":"a","verdict":"approved","approver":"r","comment":null,"digest":"PROGRAM"}"#,
        r#"{"event":"answer_refused","step":"a","verdict":"rejected","approver":"r","comment":"c","why":"late"}"#,
        r#"{"event":"lock_taken","lock":"l","step":null}"#,
        r#"{"event":"lock_released","lock":"l","step":"a"}"#,
        r#"{"event":"effect_intended","step":"a","position":0,"call":CALL,"before":{"x":1}}"#,
        r#"{"event":"effect_ended","step":"a","position":0,"call":null,"outcome":{"done":null}}"#,
        r#"{"event":"effect_settled","step":"a","round":0,"position":0,"outcome":"not_done"}"#,
        r#"{"event":"effect_answered","step":"a","position":0,"requester":"r","done":null}"#,
        r#"{"event":"attempt_answered","step":"a","requester":"r"}"#,
        r#"{"event":"logged","step":"a","level":"info","message":"m"}"#,
    ];

    #[test]
    fn events_are_stored_as_journals_hold_them() {
        let call = r#"{"function":"x::y","arguments":[1],"digest":"PROGRAM","class":"keyed"}"#;
        let error =
            serde_json::to_string(&super::StepError::new("attempt-killed", "y")).expect("JSON");
        for stored in STORED {
            let stored = stored.replace("CALL", call).replace("ERROR", &error);
            let stored = stored.replace("PROGRAM", &super::Digest::ZERO.to_string());
            let event: Event<Json> = serde_json::from_str(&stored).expect(&stored);
            assert_eq!(serde_json::to_string(&event).expect("JSON"), stored);
        }
    }

    #[test]
    fn what_an_operator_says_was_given_may_be_nothing() {
        let answered = |done: &str| -> Event<Json> {
            let text = format!(
                r#"{{"event":"effect_answered","step":"a","position":0,"requester":"r"{done}}}"#
            );
            serde_json::from_str(&text).expect("an event")
        };
        let done = |event| match event {
            Event::EffectAnswered(answered) => answered.done,
            other => panic!("{other:?}"),
        };
        assert_eq!(done(answered("")), None);
        assert_eq!(done(answered(r#","done":null"#)), Some(Json::Null));
    }
}
