//! Notices when something has happened in a run on any worker, because Restate does not report it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::reads::RunReads;
use crate::error::RunsError;
use windlass_ground::{Timestamp, lock};
use windlass_journal::{RunId, RunRow};
use windlass_restate::{ListedPart, Remote};

/// How often the runs are checked.
const PAUSE: Duration = Duration::from_millis(400);
/// The largest share of the time that checks may take: Restate has other work.
const SHARE: u32 = 4;
/// How far the clocks of machines may differ: a run that ended so long before the last one may be listed after it.
const SKEW: Duration = Duration::from_secs(600);

/// Checks the runs that have not ended repeatedly, until it is dropped.
pub(super) struct Pulse {
    changed: watch::Sender<u64>,
    /// The reason why the last check failed.
    trouble: Arc<Mutex<Option<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Pulse {
    /// # Errors
    /// The thread can't be started.
    pub fn start(remote: Arc<Remote>, reads: Arc<RunReads>) -> Result<Self, RunsError> {
        let this = Self {
            changed: watch::Sender::new(0),
            trouble: Arc::default(),
            is_over: Arc::default(),
        };
        let (changed, trouble, is_over) = (
            this.changed.clone(),
            this.trouble.clone(),
            this.is_over.clone(),
        );
        let thread = thread::Builder::new().name("pulse".into());
        let looks = move || {
            let mut listed = Listed::default();
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let looked = look(&remote, &reads, &mut listed);
                if looked.as_ref().is_ok_and(|has_changed| *has_changed) {
                    changed.send_modify(|n| *n += 1);
                }
                *lock(&trouble) = looked.err().map(|error| error.message);
                thread::sleep(PAUSE.max(began.elapsed() * SHARE));
            }
        };
        thread.spawn(looks).map_err(RunsError::no_threads)?;
        Ok(this)
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns how many checks have found something new.
    ///
    /// # Errors
    /// The reason why the last check failed.
    pub fn count(&self) -> Result<i64, RunsError> {
        match &*lock(&self.trouble) {
            None => Ok(*self.changed.borrow() as i64),
            Some(why) => Err(RunsError::new(crate::Kind::Busy, "engine", why.clone())),
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The list of runs, as the last check saw it.
#[derive(Default)]
struct Listed {
    /// The rows of runs that had not ended or ended lately, as they are stored.
    rows: BTreeMap<RunId, String>,
    /// How many runs there were.
    count: u64,
    /// When the last run ended.
    newest: Option<Timestamp>,
}

impl Listed {
    /// Returns the part of the list that may have changed since.
    fn part(&self) -> ListedPart {
        ListedPart {
            since: self.newest.map(|at| at - SKEW),
            ..ListedPart::default()
        }
    }

    /// Records that part of the list and the number of runs; returns whether anything has changed, and the runs that have left the part:
    /// their ends may not have been seen.
    fn note(&mut self, rows: &[RunRow], count: u64) -> (bool, Vec<RunId>) {
        let texts = rows.iter().map(|row| {
            let text = serde_json::to_string(row).unwrap_or_default();
            (row.id.clone(), text)
        });
        let texts: BTreeMap<_, _> = texts.collect();
        let is_other = count != self.count
            || texts
                .iter()
                .any(|(id, text)| self.rows.get(id) != Some(text));
        let left = self.rows.keys().filter(|id| !texts.contains_key(*id));
        let left = left.cloned().collect();
        let newest = rows.iter().filter_map(|row| row.ended_at).max();
        *self = Self {
            rows: texts,
            count,
            newest: self.newest.max(newest),
        };
        (is_other, left)
    }
}

/// Checks whether anything has happened since the last check. Of the runs that ended long before that, only the number is read.
fn look(remote: &Remote, reads: &RunReads, listed: &mut Listed) -> Result<bool, RunsError> {
    let count = remote.count_runs()?;
    let rows = remote.some_runs(&listed.part())?;
    let (is_other, left) = listed.note(&rows, count);
    rows.iter()
        .for_each(|row| reads.hears(&row.id, row.ended_at));
    let open = rows.into_iter().filter(|row| row.ended_at.is_none());
    let mut open: Vec<RunId> = open.map(|row| row.id).collect();
    open.extend(left.into_iter().filter(|id| reads.hears_of_end(id)));
    let has_moved = reads.look_at_all(&open)?;
    Ok(is_other || has_moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, ended_at: Option<i64>) -> RunRow {
        RunRow {
            id: RunId::stored(id.into()),
            workflow: "w".into(),
            file: "w.yaml".into(),
            target: "local".into(),
            started_at: Timestamp::EPOCH,
            requester: None,
            ended_at: ended_at.map(Timestamp::from_millis),
            outcome: ended_at.map(|_| "succeeded".into()),
            is_owned: ended_at.is_none(),
        }
    }

    #[test]
    fn changes_of_the_list_are_noticed() {
        let mut listed = Listed::default();
        assert_eq!(listed.part().since, None, "the first check reads all runs");
        let hour = 3_600_000;
        let rows = [row("b", None), row("a", Some(hour))];
        assert!(listed.note(&rows, 2).0);
        assert!(!listed.note(&rows, 2).0, "nothing has happened");
        let since = listed.part().since.expect("a run has ended");
        assert!(since < Timestamp::from_millis(hour));
        // Two hours later, the end of `a` is no longer read, which is not a change.
        let rows = [row("b", Some(3 * hour))];
        assert_eq!(listed.note(&rows, 2), (true, vec![row("a", None).id]));
        assert_eq!(listed.note(&rows, 2), (false, Vec::new()));
        assert!(listed.note(&rows, 1).0, "one was deleted");
        assert!(listed.note(&[row("b", None)], 1).0, "it was resumed");
        // Its end is earlier than what is read, since its clock is slow.
        let (_, left) = listed.note(&[], 1);
        assert_eq!(left, [row("b", None).id]);
    }
}
