//! Says that something happened in a run, whichever worker did it: the engine tells nobody by itself.

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

/// How often the runs are looked at.
const PAUSE: Duration = Duration::from_millis(400);
/// Looks take this share of the time at most: the engine has other things to do.
const SHARE: u32 = 4;

/// Looks at the runs that have not ended, again and again, until it is dropped.
pub(super) struct Pulse {
    changed: watch::Sender<u64>,
    /// Why the last look failed.
    trouble: Arc<Mutex<Option<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Pulse {
    /// # Errors
    /// A thread that can't be started.
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

    /// Counts the looks that found something.
    ///
    /// # Errors
    /// Why the last look found nothing out.
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

/// Says whether anything has happened since the last look, of which `listed` is the list of runs.
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
