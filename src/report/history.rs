//! What people did with a run, for its audit: who started, changed, resumed, answered, cancelled and undid it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{
    clock::local_time,
    plain::{cut, short_line},
};
use windlass_ground::Timestamp;
use windlass_journal::{
    AttemptAnswered, EffectAnswered, Event, InstanceId, Record, RunCancelled, RunEdited, RunEnded,
    RunResumed, RunStarted, StepSkipped, UndoStarted, Via,
};
use windlass_world::value::{Digest, MASK, Value};

/// How a sealed secret, and secret bytes, are stored.
const SECRETS: [&str; 2] = ["$secret", "$bytes"];

/// The longest value of a param that is shown, in characters: the other one is beside it.
const LONGEST_VALUE: usize = 160;

/// Something that a person did with a run, or its end.
pub(super) struct HistoryEntry<'a> {
    at: Timestamp,
    /// `None` for what nobody asked for: the end, and an undo because the run failed.
    by: Option<&'a str>,
    via: Option<&'a Via>,
    act: Act<'a>,
}

enum Act<'a> {
    Started(Digest),
    Edited(Edition<'a>),
    Resumed,
    Redone(&'a [InstanceId]),
    Answered {
        step: &'a InstanceId,
        position: Option<u32>,
        is_done: bool,
    },
    Cancelled,
    UndoStarted,
    /// An undo leaves what a step did as it is.
    Left(InstanceId),
    /// It reverses that after all.
    LeftNoLonger(InstanceId),
    Ended {
        outcome: &'static str,
        /// The steps whose changes an undo left as they are, because a person said so.
        left: Vec<InstanceId>,
    },
}

/// Other files or params, with which a run continued.
struct Edition<'a> {
    number: u32,
    program: Digest,
    is_other_program: bool,
    /// The params that are others than before; secrets are masked.
    params: BTreeMap<&'a str, (Value, Value)>,
    has_other_secrets: bool,
}

/// Lists what people did with a run, in order, with its ends.
pub(super) fn history(records: &[Record]) -> Vec<HistoryEntry<'_>> {
    let mut deeds = Vec::new();
    let mut now: Option<(Digest, &Value, Option<Digest>)> = None;
    let (mut undoer, mut left) = (None, BTreeSet::new());
    for record in records {
        let (by, via, act) = match &record.event {
            Event::RunStarted(RunStarted {
                requester,
                via,
                program,
                params,
                secrets,
                ..
            }) => {
                now = Some((*program, params, *secrets));
                (Some(requester), via.as_ref(), Act::Started(*program))
            }
            Event::RunEdited(edited) => {
                let edition = Edition::of(edited, now);
                now = Some((edited.program, &edited.params, edited.secrets));
                (Some(&edited.requester), None, Act::Edited(edition))
            }
            Event::RunResumed(RunResumed {
                requester,
                via,
                redo,
                ..
            }) => {
                let act = if redo.is_empty() {
                    Act::Resumed
                } else {
                    Act::Redone(redo)
                };
                (Some(requester), via.as_ref(), act)
            }
            Event::EffectAnswered(EffectAnswered {
                step,
                position,
                requester,
                done,
            }) => {
                let act = Act::Answered {
                    step,
                    position: Some(position.0),
                    is_done: done.is_some(),
                };
                (Some(requester), None, act)
            }
            Event::AttemptAnswered(AttemptAnswered { step, requester }) => {
                let act = Act::Answered {
                    step,
                    position: None,
                    is_done: false,
                };
                (Some(requester), None, act)
            }
            Event::RunCancelled(RunCancelled { requester, via }) => {
                (Some(requester), via.as_ref(), Act::Cancelled)
            }
            Event::UndoStarted(started @ UndoStarted { requester, via, .. }) => {
                let by = (!started.is_on_failure()).then_some(requester);
                undoer = by;
                (by, via.as_ref(), Act::UndoStarted)
            }
            // An undo begins with the answers of the person who started it.
            Event::StepSkipped(StepSkipped { step, .. }) => {
                let Some(of) = step.undone() else { continue };
                left.insert(of.clone());
                (undoer, None, Act::Left(of))
            }
            Event::StepReopened { step } => {
                let Some(of) = step.undone() else { continue };
                left.remove(&of);
                (undoer, None, Act::LeftNoLonger(of))
            }
            Event::RunEnded(RunEnded { outcome, .. }) => {
                let outcome = outcome.as_str();
                let left = left.iter().cloned().collect();
                (None, None, Act::Ended { outcome, left })
            }
            _ => continue,
        };
        deeds.push(HistoryEntry {
            at: record.at,
            by: by.map(String::as_str),
            via,
            act,
        });
    }
    deeds
}

impl<'a> Edition<'a> {
    fn of(edited: &'a RunEdited, before: Option<(Digest, &'a Value, Option<Digest>)>) -> Self {
        let (program, params, secrets) = before.unwrap_or((Digest::ZERO, &Value::Null, None));
        let value = |params: &Value, name: &str| masked(params.field(name).unwrap_or(&Value::Null));
        // An edit may also remove params.
        let names = [params, &edited.params].map(|map| map.as_map().into_iter().flatten());
        let names: BTreeSet<&'a str> = names
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let changed = names.into_iter().filter_map(|name| {
            let (before, after) = (value(params, name), value(&edited.params, name));
            (before != after).then_some((name, (before, after)))
        });
        Self {
            number: edited.edition,
            program: edited.program,
            is_other_program: program != edited.program,
            params: changed.collect(),
            has_other_secrets: secrets != edited.secrets,
        }
    }

    fn text(&self) -> String {
        let mut parts = vec![if self.is_other_program {
            format!("files with sha256 {}", self.program)
        } else {
            "the same files".to_owned()
        }];
        if self.has_other_secrets {
            parts.push("other secrets".to_owned());
        }
        parts.join("; ")
    }

    /// Returns a line for each param that changed.
    fn changes(&self) -> Vec<String> {
        let short = |value: &Value| cut(&value.to_string(), LONGEST_VALUE);
        let changes = self.params.iter().map(|(name, (before, after))| {
            format!("{name}: {} before, now {}", short(before), short(after))
        });
        changes.collect()
    }
}

/// Returns a value of a bundle with masks in place of its secrets, of which it has only digests: those of the same secret differ.
fn masked(value: &Value) -> Value {
    match value {
        Value::Secret(_) => MASK.into(),
        Value::List(items) => Value::List(items.iter().map(masked).collect()),
        Value::Map(map) if is_sealed(map) => MASK.into(),
        Value::Map(map) => Value::map(map.iter().map(|(key, item)| (key.clone(), masked(item)))),
        other => other.clone(),
    }
}

fn is_sealed(map: &BTreeMap<String, Value>) -> bool {
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) if key == SECRETS[0] => matches!(value, Value::String(_)),
        (Some((key, Value::Map(inner))), None) if key == SECRETS[1] => is_sealed(inner),
        _ => false,
    }
}

impl HistoryEntry<'_> {
    /// Says whether more happened than that the run was started and ended.
    pub fn is_notable(&self) -> bool {
        !matches!(self.act, Act::Started(_) | Act::Ended { .. })
    }

    /// Returns its line, with one below it for each param that changed.
    pub fn line(&self) -> String {
        let by = match (self.by, &self.act) {
            (Some(by), _) => format!(" by {by}"),
            (None, Act::UndoStarted) => ", because the run failed".to_owned(),
            (None, _) => String::new(),
        };
        let what = match &self.act {
            Act::Started(program) => format!("started{by}: files with sha256 {program}"),
            Act::Edited(edition) => format!("changed{by}: {}", edition.text()),
            Act::Resumed => format!("resumed{by}"),
            Act::Redone(steps) => {
                let steps: Vec<_> = steps.iter().map(InstanceId::as_str).collect();
                format!("resumed{by}, from their start: {}", steps.join(", "))
            }
            Act::Answered {
                step,
                position,
                is_done,
            } => {
                let call = position.map_or(String::new(), |position| format!(" #{position}"));
                let said = if *is_done { "done" } else { "not done" };
                format!("answered{by}: {step}{call} was {said}")
            }
            Act::Cancelled => format!("cancelled{by}"),
            Act::UndoStarted => format!("undo started{by}"),
            Act::Left(step) => format!("answered{by}: what {step} did is left as it is"),
            Act::LeftNoLonger(step) => {
                format!("answered{by}: what {step} did is no longer left as it is")
            }
            Act::Ended { outcome, left } => {
                let left: Vec<_> = left.iter().map(InstanceId::as_str).collect();
                if left.is_empty() {
                    format!("ended: {outcome}")
                } else {
                    format!("ended: {outcome}; left as it is: {}", left.join(", "))
                }
            }
        };
        let changes = match &self.act {
            Act::Edited(edition) => edition.changes(),
            _ => Vec::new(),
        };
        let first = format!("{}  {what}", local_time(self.at));
        let lines = std::iter::once(first).chain(changes);
        let lines: Vec<_> = lines.map(|line| short_line(&line)).collect();
        lines.join("\n      ")
    }

    pub fn json(&self) -> Json {
        let mut json = json!({ "at": self.at, "what": self.act.name(), "by": self.by });
        if let Some(via) = self.via {
            json["via"] = json!({ "how": via.how, "from": via.from });
        }
        match &self.act {
            Act::Started(program) => {
                json["edition"] = json!(0);
                json["program"] = json!(program);
            }
            Act::Edited(edition) => {
                json["edition"] = json!(edition.number);
                json["program"] = json!(edition.program);
                let params = edition.params.iter().map(|(name, (before, after))| {
                    let change = json!({ "before": before.to_json(), "after": after.to_json() });
                    ((*name).to_owned(), change)
                });
                json["params"] = Json::Object(params.collect());
                json["other_secrets"] = json!(edition.has_other_secrets);
            }
            Act::Redone(steps) => json["steps"] = json!(steps),
            Act::Answered {
                step,
                position,
                is_done,
            } => {
                json["step"] = json!(step);
                json["position"] = json!(position);
                json["done"] = json!(is_done);
            }
            Act::Left(step) | Act::LeftNoLonger(step) => json["step"] = json!(step),
            Act::Ended { outcome, left } => {
                json["status"] = json!(outcome);
                if !left.is_empty() {
                    json["left"] = json!(left);
                }
            }
            Act::Resumed | Act::Cancelled | Act::UndoStarted => {}
        }
        json
    }
}

impl Act<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Edited(_) => "edited",
            Self::Resumed => "resumed",
            Self::Redone(_) => "redone",
            Self::Answered { .. } => "answered",
            Self::Cancelled => "cancelled",
            Self::UndoStarted => "undo_started",
            Self::Left(_) => "left",
            Self::LeftNoLonger(_) => "left_no_longer",
            Self::Ended { .. } => "ended",
        }
    }
}
