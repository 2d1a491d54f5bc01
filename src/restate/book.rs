use std::collections::BTreeMap;

use super::wire::Place;
use windlass_ground::Timestamp;
use windlass_journal::{
    Event, InstanceId, Link, LockTaken, Outcome, Record, RunEdited, RunEnded, RunId, RunRow,
    RunStarted, chain_start,
};
use windlass_world::value::Digest;

/// What a driver keeps of its run's events besides their fold, the state: where they are stored, and the data for
/// Restate's other objects.
pub(super) struct Book {
    run: RunId,
    /// The number of the next page of the run's state.
    pages: u64,
    next_seq: u64,
    head: Digest,
    /// The row in lists; `None` before the run begins.
    pub row: Option<RunRow>,
    /// The locks that the run holds.
    pub locks: BTreeMap<String, Option<InstanceId>>,
    /// Where the run's steps run, and where they write files.
    pub place: Place,
}

/// Returns the key of a page of a run's state.
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

    /// Records events that are already stored, in this many pages.
    pub fn read(&mut self, records: &[Record], pages: u64) {
        self.pages = pages;
        for record in records {
            self.note(&record.event, record.at);
            self.next_seq = record.seq + 1;
            self.head = record.digest;
        }
    }

    /// Records the data that goes with an event; returns whether the row in lists changes.
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

    /// Links an event's text to the one before.
    pub fn link(&mut self, at: Timestamp, body: String) -> Link {
        let link = Link::after(self.head, self.next_seq, at, body);
        self.next_seq += 1;
        self.head = link.digest;
        link
    }

    /// Returns the key of the next page.
    pub fn next_page(&mut self) -> String {
        self.pages += 1;
        page(self.pages - 1)
    }
}
