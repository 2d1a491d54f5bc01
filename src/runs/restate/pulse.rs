//! Notices when something has happened in a run on any worker, because Restate does not report it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::reads::RunReads;
use crate::{drivers::lock, error::RunsError};
use windlass_engine::journal::RunId;
use windlass_restate::Remote;

/// How often the runs are checked.
const PAUSE: Duration = Duration::from_millis(400);
/// The largest share of the time that checks may take: Restate has other work.
const SHARE: u32 = 4;

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
            let mut listed = String::new();
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
        thread
            .spawn(looks)
            .map_err(|e| RunsError::broken("system", format!("can't start threads: {e}")))?;
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

/// Checks whether anything has happened since the last check, which saw the list `listed`.
fn look(remote: &Remote, reads: &RunReads, listed: &mut String) -> Result<bool, RunsError> {
    let rows = remote.runs()?;
    let text = serde_json::to_string(&rows).unwrap_or_default();
    let is_other = *listed != text;
    rows.iter()
        .for_each(|row| reads.hears(&row.id, row.ended_at));
    let open = rows.into_iter().filter(|row| row.ended_at.is_none());
    let open: Vec<RunId> = open.map(|row| row.id).collect();
    let has_moved = reads.look_at_all(&open)?;
    *listed = text;
    Ok(is_other || has_moved)
}
