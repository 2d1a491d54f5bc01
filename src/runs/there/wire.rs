//! The parts of a server's answers that are needed here. The desk's `api/types.rs` is the other end.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::{
    error::{Kind, RunsError},
    service::{Ask, Row},
};
use windlass_engine::execute::{UndoItem, UndoKind};
use windlass_ground::Timestamp;
use windlass_journal::{Event, InstanceId, Link, Record, RunId, RunRow};
use windlass_report as report;
use windlass_world::value::{Digest, MASK, Secret, Value};

#[derive(Deserialize)]
pub struct WhoAmI {
    pub name: String,
    /// `None` on older servers.
    pub version: Option<String>,
}

/// The reason why a request failed (RFC 9457).
#[derive(Deserialize)]
pub struct Problem {
    pub code: String,
    pub detail: String,
    pub hint: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

impl Problem {
    /// The code is that of the server, if this version knows it.
    pub fn error(self, kind: Kind) -> RunsError {
        let code = report::codes().find(|code| *code == self.code);
        let mut error = RunsError::new(kind, code.unwrap_or("server"), self.detail);
        error.hint = self.hint;
        error.params = self.params.into_iter().collect();
        error
    }
}

#[derive(Deserialize)]
pub struct RunsPage {
    pub runs: Vec<RunItem>,
    pub next: Option<String>,
}

#[derive(Deserialize)]
pub struct RunItem {
    run: String,
    workflow: String,
    file: String,
    target: String,
    status: String,
    is_driven: bool,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    requester: Option<String>,
    error: Option<String>,
    asks: Vec<AskItem>,
}

#[derive(Deserialize)]
struct AskItem {
    step: InstanceId,
    message: String,
    digest: Digest,
    asked_at: Timestamp,
    deadline: Option<Timestamp>,
}

#[derive(Deserialize)]
pub struct RunDetail {
    pub is_driven: bool,
    /// Servers of earlier versions do not say it.
    #[serde(default)]
    pub is_paused: bool,
    pub trouble: Option<String>,
    waits_for: Option<String>,
}

impl RunDetail {
    /// Returns the lock that the run waits for, and its holder, from the server's sentence.
    pub fn lock(&self) -> Option<(String, String)> {
        let sentence = self.waits_for.as_deref()?;
        let rest = sentence.strip_prefix("the lock `")?;
        let (lock, holder) = rest.split_once("`, held by ")?;
        Some((lock.to_owned(), holder.to_owned()))
    }
}

#[derive(Deserialize)]
pub struct EventsPage {
    pub events: Vec<EventItem>,
    pub has_more: bool,
}

#[derive(Deserialize)]
pub struct EventItem {
    seq: u64,
    at: Timestamp,
    digest: Digest,
    event: Event<Json>,
}

#[derive(Deserialize)]
pub struct Files {
    pub main: String,
    pub files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub struct Links {
    pub links: Vec<Link>,
}

#[derive(Deserialize)]
pub struct Workflows {
    pub workflows: Vec<WorkflowItem>,
}

#[derive(Deserialize)]
pub struct WorkflowItem {
    pub name: String,
    pub problem: Option<String>,
}

#[derive(Deserialize)]
pub struct TargetNames {
    pub targets: Vec<String>,
}

#[derive(Deserialize)]
pub struct StartedRun {
    pub run: String,
    pub is_repeated: bool,
}

#[derive(Deserialize)]
pub struct UndoPlan {
    pub items: Vec<UndoLine>,
    /// Absent in the answers of older servers.
    pub refused: Option<Problem>,
    /// Absent in the answers of older servers.
    pub events: Option<u64>,
}

#[derive(Deserialize)]
pub struct UndoLine {
    step: InstanceId,
    what: String,
    kind: String,
    why: Option<String>,
}

impl RunItem {
    /// Only the server knows a run's status, so the status replaces the outcome.
    pub fn row(self) -> Row {
        Row {
            run: RunRow {
                id: RunId::stored(self.run),
                workflow: self.workflow,
                file: self.file,
                target: self.target,
                started_at: self.started_at,
                requester: self.requester,
                ended_at: self.ended_at,
                outcome: Some(self.status.clone()),
                is_owned: self.is_driven,
            },
            status: self.status,
            error: self.error,
            asks: self.asks.into_iter().map(AskItem::ask).collect(),
        }
    }
}

impl AskItem {
    fn ask(self) -> Ask {
        Ask {
            step: self.step,
            message: self.message,
            digest: self.digest,
            asked_at: self.asked_at,
            deadline: self.deadline,
        }
    }
}

impl EventItem {
    pub fn record(self) -> Record {
        Record {
            seq: self.seq,
            at: self.at,
            event: masked_event(self.event),
            digest: self.digest,
        }
    }
}

/// Reads an event in which secrets are masked.
pub fn masked_event(event: Event<Json>) -> Event {
    let Ok(event) = event.try_map(|json| Ok::<_, std::convert::Infallible>(masked(json)));
    event
}

/// Reads a value in which secrets are masked: each mask becomes a secret again, so that it is shown in the same way as
/// on the server.
pub fn masked(json: Json) -> Value {
    match json {
        Json::String(text) if text == MASK => Value::Secret(Secret::new(text)),
        Json::Array(items) => Value::List(items.into_iter().map(masked).collect()),
        Json::Object(map) => Value::Map(map.into_iter().map(|(k, v)| (k, masked(v))).collect()),
        plain => Value::from_json(plain),
    }
}

impl UndoLine {
    /// Returns `None` for an item that only another version knows.
    pub fn item(self) -> Option<UndoItem> {
        let why = self.why.unwrap_or_default();
        let kind = match self.kind.as_str() {
            "reversed" => UndoKind::Reversed,
            "already" => UndoKind::Already(why),
            "left" => UndoKind::Left(why),
            "unknown" => UndoKind::Unknown,
            "unseen" => UndoKind::Unseen(why),
            "stays" => UndoKind::Stays,
            _ => return None,
        };
        Some(UndoItem {
            step: self.step,
            what: self.what,
            kind,
        })
    }
}
