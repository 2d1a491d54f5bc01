use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{
    notice::Notice,
    outbox::{Outbox, ReadUpTo},
};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{
    ApprovalAsked, Event, InstanceId, Outcome, Record, RunEnded, RunId, Status, StepFailed,
};
use windlass_report as report;
use windlass_runs::{Filter, Row, Runs, RunsError, StuckRun, now};
use windlass_targets::{NoticeKind, NotifyConfig};
use windlass_world::value::StepError;

/// Creates notifications of run events, of questions that expire, of runs that can't continue and of certificates that are due.
pub struct Collector {
    runs: Arc<dyn Runs>,
    outbox: Arc<Outbox>,
    /// Events before this time cause no notification.
    since: Timestamp,
    due: Duration,
    expiring: Duration,
    /// Maps a finished run, whose events have all been read, to the time at which it ended: it is not read again.
    over: Mutex<BTreeMap<RunId, Timestamp>>,
}

impl Collector {
    pub fn new(
        runs: Arc<dyn Runs>,
        outbox: Arc<Outbox>,
        config: &NotifyConfig,
    ) -> Result<Self, RunsError> {
        Ok(Self {
            since: match runs.peers() {
                Some(peers) => peers.notifies_since(now())?,
                None => outbox.since()?,
            },
            runs,
            outbox,
            due: config.due,
            expiring: config.expiring_approval,
            over: Mutex::default(),
        })
    }

    /// Reads the new events of all runs and stores a notification of each event that needs one.
    ///
    /// # Errors
    /// The journal or the outbox can't be used. If one run can't be read, the others are read all the same.
    pub fn read_runs(&self, now: Timestamp) -> Result<(), RunsError> {
        let brief = Filter {
            is_brief: true,
            ..Filter::default()
        };
        let rows = self.runs.list(&brief)?.rows;
        let (mut notices, mut positions, mut first) = (Vec::new(), Vec::new(), None);
        for row in rows.iter().rev() {
            match self.read_run(row, now, &mut notices) {
                Ok(position) => positions.extend(position.map(|position| (&row.run.id, position))),
                Err(error) => first = first.or(Some(error)),
            }
        }
        if !notices.is_empty() || !positions.is_empty() {
            // Events of several runs are reported in the order in which they happened.
            notices.sort_by_key(|notice| notice.at);
            self.outbox.add(&notices, &positions)?;
        }
        first.map_or(Ok(()), Err)
    }

    /// Creates notifications of a run's new events. Returns the position up to which the events have been read, if it has moved.
    fn read_run(
        &self,
        row: &Row,
        now: Timestamp,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<ReadUpTo>, RunsError> {
        let (id, ended_at) = (&row.run.id, row.run.ended_at);
        if ended_at.is_some() && self.over().get(id).copied() == ended_at {
            return Ok(None);
        }
        let known = self.outbox.position(id)?;
        if let Some(at) = ended_at
            && known.map_or(at < self.since, |known| known.ended_at == ended_at)
        {
            self.over().insert(id.clone(), at);
            return Ok(None);
        }
        let before = known.unwrap_or_default();
        let mut cursor = before.cursor;
        let mut records = Vec::new();
        self.runs.events_so_far(id, &mut cursor, &mut |record| {
            if record.at >= self.since && is_told(&record.event) {
                records.push(record);
            }
        })?;
        // The reason of a failure is looked up after the loop: the journal is in use while its events are read.
        notices.extend(records.iter().filter_map(|record| self.told(row, record)));
        notices.extend(self.expiring(row, now));
        let has_moved = cursor.next != before.cursor.next || ended_at != before.ended_at;
        Ok(has_moved.then_some(ReadUpTo { cursor, ended_at }))
    }

    fn over(&self) -> MutexGuard<'_, BTreeMap<RunId, Timestamp>> {
        lock(&self.over)
    }

    /// Returns the notification of an event, or `None` if it needs none.
    fn told(&self, row: &Row, record: &Record) -> Option<Notice> {
        let run = &row.run;
        let name = format!("{} on {}", run.workflow, run.target);
        let (kind, step, title, text) = match &record.event {
            Event::ApprovalAsked(ApprovalAsked {
                step,
                message,
                deadline,
                ..
            }) => {
                let until = deadline
                    .map(|at| format!("\nThe question expires at {} UTC.", report::utc_time(at)));
                let text = format!("{message}{}", until.unwrap_or_default());
                (
                    NoticeKind::Waiting,
                    Some(step),
                    format!("{name} waits for an answer to {step}"),
                    text,
                )
            }
            Event::ApprovalDecided(decided) => (
                NoticeKind::Waiting,
                Some(&decided.step),
                format!("{name}: {} was {}", decided.step, decided.verdict.as_str()),
                String::new(),
            ),
            Event::RunEnded(RunEnded { outcome, .. }) => match outcome {
                Outcome::Succeeded => (
                    NoticeKind::Succeeded,
                    None,
                    format!("{name} succeeded"),
                    String::new(),
                ),
                Outcome::Failed => (
                    NoticeKind::Failed,
                    None,
                    format!("{name} failed"),
                    self.why(&run.id),
                ),
                Outcome::UndoFailed => (
                    NoticeKind::Failed,
                    None,
                    format!("the undo of {name} failed"),
                    self.why(&run.id),
                ),
                Outcome::Cancelled | Outcome::Undone => (
                    NoticeKind::Succeeded,
                    None,
                    format!("{name} was {}", outcome.as_str()),
                    String::new(),
                ),
            },
            Event::UndoStarted(started) if started.is_on_failure() => (
                NoticeKind::Failed,
                None,
                format!("{name} failed, and is being undone"),
                self.why(&run.id),
            ),
            Event::StepFailed(StepFailed {
                step,
                error,
                retry_at: None,
            }) if error.code == "in-doubt" => (
                NoticeKind::Doubt,
                Some(step),
                format!("{name}: a call of {step} is in doubt"),
                error.headline(),
            ),
            // The next attempt would ask.
            Event::StepFailed(StepFailed {
                step,
                error,
                retry_at: None,
            }) => {
                let function = self.call_in_doubt(&run.id, step, error)?;
                (
                    NoticeKind::Doubt,
                    Some(step),
                    format!("{name}: a call of {step} is in doubt"),
                    format!(
                        "It is not known whether {function} was done: {}",
                        error.headline()
                    ),
                )
            }
            _ => return None,
        };
        Some(
            Notice {
                key: format!("run {} {}", run.id, record.seq),
                kind,
                at: record.at,
                about: match step {
                    Some(step) => format!("run {} {step}", run.id),
                    None => format!("run {}", run.id),
                },
                run: Some(run.id.to_string()),
                workflow: Some(run.workflow.clone()),
                target: Some(run.target.clone()),
                step: step.map(ToString::to_string),
                title,
                text,
                path: format!("/runs/{}", run.id),
                resolves: resolves(&record.event),
            }
            .cleaned(),
        )
    }

    /// Returns the function of a failed step's call about which only a person knows whether it was made.
    fn call_in_doubt(&self, id: &RunId, step: &InstanceId, error: &StepError) -> Option<String> {
        let failure = error.failure.as_ref();
        let may_be = failure.is_some_and(|failure| failure.is_unknown || failure.is_done);
        if !may_be && error.code != "timed-out" {
            return None;
        }
        let shown = self.runs.run(id).ok()?;
        let instance = shown.state.instance(step)?;
        // Somebody may have resumed it since.
        let is_still =
            instance.status == Status::Failed && instance.error.as_deref() == Some(error);
        let call = instance.call_in_doubt().filter(|_| is_still)?;
        Some(call.call.function.to_string())
    }

    /// Returns the first error of a run that ended.
    fn why(&self, id: &RunId) -> String {
        let Ok(shown) = self.runs.run(id) else {
            return String::new();
        };
        let errors = report::errors(&shown.state);
        let first = errors.first().map(|(step, error)| match step {
            Some(step) => format!("{step}: {}", error.headline()),
            None => error.headline(),
        });
        first.unwrap_or_default()
    }

    /// Returns a notification of each question of a run that expires soon.
    fn expiring(&self, row: &Row, now: Timestamp) -> Vec<Notice> {
        let run = &row.run;
        let soon = row.asks.iter().filter_map(|ask| {
            let deadline = ask.deadline?;
            // A question that had no more time from the start has been reported when it was asked.
            let is_short = deadline.since(ask.asked_at) <= self.expiring;
            (!is_short && deadline > now && deadline.since(now) <= self.expiring)
                .then_some((ask, deadline))
        });
        let notices = soon.map(|(ask, deadline)| {
            Notice {
                key: format!(
                    "expiring {} {} {}",
                    run.id,
                    ask.step,
                    ask.asked_at.as_millis()
                ),
                kind: NoticeKind::ExpiringApproval,
                at: now,
                about: format!("run {} {}", run.id, ask.step),
                run: Some(run.id.to_string()),
                workflow: Some(run.workflow.clone()),
                target: Some(run.target.clone()),
                step: Some(ask.step.to_string()),
                title: format!(
                    "{} on {}: the question of {} expires at {} UTC",
                    run.workflow,
                    run.target,
                    ask.step,
                    report::utc_time(deadline)
                ),
                text: ask.message.clone(),
                path: format!("/runs/{}", run.id),
                resolves: false,
            }
            .cleaned()
        });
        notices.collect()
    }

    /// Stores a notification of each run that can't continue until a person resumes it, and ends the alerts about the others.
    ///
    /// # Errors
    /// The runs or the outbox can't be read.
    pub fn look_at_stuck(&self, now: Timestamp) -> Result<(), RunsError> {
        let mut stuck = self.runs.stuck()?;
        stuck.retain(|one| one.is_paused);
        let rows = if stuck.is_empty() {
            Vec::new()
        } else {
            let brief = Filter {
                is_brief: true,
                ..Filter::default()
            };
            self.runs.list(&brief)?.rows
        };
        let notices = stuck.into_iter().map(|stuck| {
            let StuckRun {
                run, why, since, ..
            } = stuck;
            let row = rows.iter().map(|row| &row.run).find(|row| row.id == run);
            let title = match row {
                Some(row) => format!(
                    "{} on {} can't continue until it is resumed",
                    row.workflow, row.target
                ),
                None => format!("run {run} can't begin until it is resumed"),
            };
            Notice {
                key: format!("stuck {run} {since}"),
                kind: NoticeKind::Failed,
                at: now,
                // Not what is told about the run itself: that it continues does not end an alert about its failure.
                about: format!("stuck run {run}"),
                workflow: row.map(|row| row.workflow.clone()),
                target: row.map(|row| row.target.clone()),
                step: None,
                title,
                text: why,
                path: format!("/runs/{run}"),
                resolves: false,
                run: Some(run.to_string()),
            }
            .cleaned()
        });
        self.outbox.are_stuck(&notices.collect::<Vec<_>>())
    }

    /// Stores a notification of each certificate in use that expires soon, and ends the alerts about the others.
    ///
    /// # Errors
    /// The journal or the outbox can't be used.
    pub fn look_at_certificates(&self, now: Timestamp) -> Result<(), RunsError> {
        let inventory = self.runs.certificates()?;
        let soon = inventory
            .certificates
            .iter()
            .filter(|entry| entry.matters() && entry.is_due(now, self.due.as_secs() as i64));
        let notices = soon.map(|entry| {
            let facts = &entry.facts;
            let renewed = match &entry.made_by {
                Some(by) => format!(
                    "The workflow {} issued it on {}, in the step {}.",
                    by.workflow, by.target, by.step
                ),
                None => match &entry.renewed_at {
                    Some(place) => {
                        format!("A controller should have renewed it with the key in {place}.")
                    }
                    None => "No workflow renews it.".to_owned(),
                },
            };
            let places: Vec<_> = entry
                .places
                .iter()
                .take(4)
                .map(ToString::to_string)
                .collect();
            let title = match entry.starts_in(now) {
                None => format!("expires at {} UTC", report::utc_time(facts.not_after)),
                Some(_) => {
                    let from = report::utc_time(facts.not_before);
                    format!("is in use, but not valid before {from} UTC")
                }
            };
            Notice {
                key: match entry.starts_in(now) {
                    None => format!("due {}", facts.fingerprint),
                    Some(_) => format!("early {}", facts.fingerprint),
                },
                kind: NoticeKind::Due,
                at: now,
                about: format!("certificate {}", facts.fingerprint),
                run: None,
                workflow: entry.made_by.as_ref().map(|by| by.workflow.clone()),
                target: entry.made_by.as_ref().map(|by| by.target.clone()),
                step: None,
                title: format!("the certificate {} {title}", facts.subject),
                text: format!("{renewed}\nIt is in {}.", places.join(", ")),
                path: "/certificates".into(),
                resolves: false,
            }
            .cleaned()
        });
        let notices: Vec<_> = notices.collect();
        // An alert ends when the certificate has been renewed, or is valid; not because it can't be seen.
        let is_whole = inventory.problems.is_empty() && !inventory.is_partial;
        self.outbox.are_due(&notices, is_whole)
    }
}

/// Says whether an event may cause a notification.
fn is_told(event: &Event) -> bool {
    matches!(
        event,
        Event::ApprovalAsked(_)
            | Event::ApprovalDecided(_)
            | Event::RunEnded(_)
            | Event::StepFailed(_)
            | Event::UndoStarted(_)
    )
}

/// Says whether an event only ends an alert, and is not a notification of its own.
fn resolves(event: &Event) -> bool {
    match event {
        Event::ApprovalDecided(_) => true,
        Event::RunEnded(ended) => matches!(ended.outcome, Outcome::Cancelled | Outcome::Undone),
        _ => false,
    }
}
