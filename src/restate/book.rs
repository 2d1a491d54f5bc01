use std::collections::BTreeMap;

use super::wire::Place;
use windlass_engine::journal::{
    Event, InstanceId, Link, LockTaken, Outcome, Record, RunEdited, RunEnded, RunId, RunRow,
    RunStarted, chain_start,
};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// What a driver keeps of its run's events, beside the state that is their fold: where they are stored, and
/// what Restate's other objects hear of them.
pub(super) struct Book {
    run: RunId,
    /// The next page of the run's state.
    pages: u64,
    next_seq: u64,
    head: Digest,
    /// What lists show; `None` before the run began.
    pub row: Option<RunRow>,
    /// Those that the run holds.
    pub locks: BTreeMap<String, Option<InstanceId>>,
    /// Where the run's scripts find the world and leave their files.
    pub place: Place,
}

/// The key of a page of a run's state.
pub(super) fn page(number: u64) -> String {
    format!("page-{number}")
}

impl Book {
    pub fn new(run: RunId) -> Self {
        Self {
            pages: 0,
            next_seq: 0,
            head: chain_start(&run),
            row: None,
            locks: BTreeMap::new(),
            place: Place::default(),
            run,
        }
    }

    /// Takes note of events that are stored already, in this many pages.
    pub fn read(&mut self, records: &[Record], pages: u64) {
        self.pages = pages;
        for record in records {
            self.note(&record.event, record.at);
            self.next_seq = record.seq + 1;
            self.head = record.digest;
        }
    }

    /// Keeps what goes with an event; says whether lists show it.
    pub fn note(&mut self, event: &Event, at: Timestamp) -> bool {
        let mut show = |change: &dyn Fn(&mut RunRow)| {
            self.row.as_mut().map(change);
            true
        };
        match event {
            Event::RunStarted(RunStarted {
                workflow,
                file,
                target,
                kube,
                requester,
                ..
            }) => {
                self.place = Place {
                    target: target.clone(),
                    kube: kube.clone(),
                };
                self.row = Some(RunRow {
                    id: self.run.clone(),
                    workflow: workflow.clone(),
                    file: file.clone(),
                    target: target.clone(),
                    started_at: at,
                    requester: Some(requester.clone()),
                    ended_at: None,
                    outcome: None,
                    is_owned: true,
                });
                true
            }
            Event::RunEdited(RunEdited { kube, .. }) => {
                self.place.kube.clone_from(kube);
                false
            }
            Event::RunEnded(RunEnded { outcome, .. }) => show(&|row| {
                row.ended_at = Some(at);
                row.outcome = Some(Outcome::as_str(*outcome).to_owned());
                row.is_owned = false;
            }),
            Event::RunResumed(_) | Event::UndoStarted(_) => show(&|row| {
                row.ended_at = None;
                row.outcome = None;
                row.is_owned = true;
            }),
            Event::LockTaken(LockTaken { lock, step }) => {
                self.locks.insert(lock.clone(), step.clone());
                false
            }
            _ => false,
        }
    }

    /// Chains an event's text to the one before.
    pub fn link(&mut self, at: Timestamp, body: String) -> Link {
        let link = Link::after(self.head, self.next_seq, at, body);
        self.next_seq += 1;
        self.head = link.digest;
        link
    }

    /// The key of the page that is written next.
    pub fn next_page(&mut self) -> String {
        self.pages += 1;
        page(self.pages - 1)
    }
}
