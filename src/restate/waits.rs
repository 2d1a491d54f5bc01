//! Which locks a run waits for, and whether those who hold them wait for it.

use std::collections::BTreeMap;

use super::{error::RemoteError, remote::Remote, wire::Holder};
use windlass_compile::Mistakes;
use windlass_engine::{
    decide,
    execute::{Waiting, circle, compile_editions},
};
use windlass_ground::Timestamp;
use windlass_journal::{InstanceId, RunId};

impl Remote {
    /// Returns the locks that a run waits for, with their holders, and says which of these wait for this run at `now`.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn waits(
        &self,
        run: &RunId,
        now: Timestamp,
    ) -> Result<BTreeMap<String, String>, RemoteError> {
        let mut waits = self.driving(run)?.waits;
        let held = Holders {
            by_lock: self.holders()?,
            now,
        };
        // The driver does not ask for a lock that another step of its run holds.
        let is_own = |holder: &&Holder| holder.run == *run && holder.step.is_some();
        let own_steps = held.by_lock.values().filter(is_own).count();
        if waits.is_empty() && own_steps < 2 {
            return Ok(waits);
        }
        let own = self.waits_of(run, &held)?;
        for first in &own {
            if !waits.contains_key(&first.lock) && first.holder != *run {
                continue;
            }
            let way = circle(run, first, |of| {
                if of == run {
                    Ok(own.clone())
                } else {
                    self.waits_of(of, &held)
                }
            })?;
            if let Some(way) = way {
                let holder = waits.entry(first.lock.clone()).or_insert_with(|| {
                    let step = first.holding_step.as_ref();
                    format!(
                        "this run{}",
                        step.map_or(String::new(), |step| format!(", step {step}"))
                    )
                });
                holder.push_str(&format!(", {way}"));
            }
        }
        Ok(waits)
    }

    /// Returns the locks that a run waits for. If steps hold locks, it matters which step waits, which follows from the events and
    /// files of the run.
    fn waits_of(&self, run: &RunId, held: &Holders) -> Result<Vec<Waiting>, RemoteError> {
        if held.by_lock.values().all(|holder| holder.step.is_none()) {
            let waits = self.driving(run)?.waits.into_keys();
            return Ok(waits.filter_map(|lock| held.waiting(lock, None)).collect());
        }
        let state = self.state_of(run)?;
        let Some(info) = &state.run else {
            return Ok(Vec::new());
        };
        let files = |edition| self.files(run, edition).map_err(Unread::Remote);
        let program = match compile_editions(info, files) {
            Ok(program) => program,
            // Another version of windlass began it.
            Err(Unread::Mistakes) => return Ok(Vec::new()),
            Err(Unread::Remote(error)) => return Err(error),
        };
        let wants = decide::waits(&program.workflow, &state, run.as_str(), held.now).into_iter();
        Ok(wants
            .filter_map(|(lock, step)| held.waiting(lock, step))
            .collect())
    }
}

/// The holders of all locks, at a time.
struct Holders {
    by_lock: BTreeMap<String, Holder>,
    now: Timestamp,
}

impl Holders {
    /// Returns who holds a lock for which a step waits, or the run itself.
    fn waiting(&self, lock: String, step: Option<InstanceId>) -> Option<Waiting> {
        let holder = self.by_lock.get(&lock)?;
        Some(Waiting {
            lock,
            step,
            holder: holder.run.clone(),
            holding_step: holder.step.clone(),
        })
    }
}

/// Why the files of a run can't be used.
enum Unread {
    Remote(RemoteError),
    /// They have mistakes.
    Mistakes,
}

impl From<Mistakes> for Unread {
    fn from(_: Mistakes) -> Self {
        Self::Mistakes
    }
}
