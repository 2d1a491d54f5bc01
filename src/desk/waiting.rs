//! Finds what waits: questions for people, locks, and steps that will be retried.

use std::collections::BTreeMap;

use super::access::Access;
use windlass_ground::Timestamp;
use windlass_journal::{InstanceId, RunId, Status};
use windlass_runs::{Ask, Filter, Row, Runs, RunsError, Shown};
use windlass_targets::Role;

/// Everything that waits.
pub struct Waiting {
    pub questions: Vec<Question>,
    pub locks: Vec<Lock>,
    pub timers: Vec<Timer>,
}

/// A question, and whether the person may answer it.
pub struct Question {
    pub shown: Shown,
    pub ask: Ask,
    pub is_mine: bool,
}

/// A lock that a run holds, and the runs that wait for it, in the order in which they started.
pub struct Lock {
    pub name: String,
    pub since: Timestamp,
    pub holder: RunId,
    /// The run that holds it; `None` if the run is not found.
    pub by: Option<Row>,
    pub waiting: Vec<Row>,
}

/// A step that will be retried.
pub struct Timer {
    pub run: Row,
    pub step: InstanceId,
    pub at: Timestamp,
    pub attempt: u32,
    pub error: Option<String>,
}

impl Waiting {
    /// Searches all runs that have not ended.
    pub fn look(runs: &dyn Runs, access: &Access) -> Result<Self, RunsError> {
        let list = |status: &str| {
            runs.list(&Filter {
                status: Some(status.into()),
                is_brief: true,
                ..Filter::default()
            })
        };
        let waiting = list("waiting")?.rows;
        let running = list("running")?.rows;
        let open: Vec<Row> = running.into_iter().chain(waiting.clone()).collect();
        let mut locks = Vec::new();
        for held in runs.locks()? {
            let by = match open.iter().find(|row| row.run.id == held.run) {
                Some(row) => Some(row.clone()),
                // A run that failed or was interrupted keeps its locks.
                None => one(runs, &held.run)?,
            };
            locks.push(Lock {
                name: held.name,
                since: held.since,
                holder: held.run,
                by,
                waiting: Vec::new(),
            });
        }
        let by_name: BTreeMap<String, usize> = locks
            .iter()
            .enumerate()
            .map(|(at, lock)| (lock.name.clone(), at))
            .collect();
        let mut timers = Vec::new();
        for row in open.iter().rev() {
            let wanted = runs.waits_for(&row.run.id);
            if let Some(at) = wanted.and_then(|(name, _)| by_name.get(&name).copied()) {
                locks[at].waiting.push(row.clone());
            }
            // The list of runs shows why a run can't be read.
            let Ok(shown) = runs.run(&row.run.id) else {
                continue;
            };
            timers.extend(timers_of(row, &shown));
        }
        timers.sort_by_key(|timer| timer.at);
        Ok(Self {
            questions: questions(runs, &waiting, access),
            locks,
            timers,
        })
    }
}

/// Returns the questions of runs that wait: those that expire first come first, and those that were asked earlier before others.
pub fn questions(runs: &dyn Runs, waiting: &[Row], access: &Access) -> Vec<Question> {
    let mut questions = Vec::new();
    for row in waiting {
        for ask in &row.asks {
            // The list of runs shows why a run can't be read.
            let Ok(shown) = runs.run(&row.run.id) else {
                continue;
            };
            let info = &shown.info;
            let is_approver = access.has_on(Role::Approver, &info.workflow, &info.target);
            questions.push(Question {
                is_mine: is_approver && shown.may_answer(ask, &access.person).is_ok(),
                ask: ask.clone(),
                shown,
            });
        }
    }
    questions.sort_by_key(|question| {
        let Ask {
            deadline, asked_at, ..
        } = question.ask;
        (deadline.is_none(), deadline, asked_at)
    });
    questions
}

fn one(runs: &dyn Runs, id: &RunId) -> Result<Option<Row>, RunsError> {
    let page = runs.list(&Filter {
        text: Some(id.to_string()),
        limit: 1,
        ..Filter::default()
    })?;
    Ok(page.rows.into_iter().next())
}

fn timers_of(row: &Row, shown: &Shown) -> Vec<Timer> {
    let steps = shown.state.steps.iter();
    let timers = steps.filter_map(|(step, instance)| match instance.status {
        Status::Retrying { at } => Some(Timer {
            run: row.clone(),
            step: step.clone(),
            at,
            attempt: instance.attempt,
            error: instance.error.as_ref().map(|error| error.headline()),
        }),
        _ => None,
    });
    timers.collect()
}
