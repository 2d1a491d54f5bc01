use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    book::{Due, TriggerBook, TriggerKey},
    planted::Planted,
    starter::{Held, Starter},
};
use windlass_compile::{CatchUp, Occasion, Schedule};
use windlass_ground::{Timestamp, lock};
use windlass_runs::RunsError;
use windlass_world::outside::{backoff, jitter};

/// A start that is later than this counts as missed: a running server checks every second, but it may be busy, or its machine may have
/// been suspended.
const ON_TIME: Duration = Duration::from_mins(5);
/// How often it is checked whether a lock is free.
const LOOKS: Duration = Duration::from_secs(5);
/// How far the clocks of servers may differ, and one may be set back, before what was recorded counts as of a clock that was wrong.
pub(super) const CLOCKS_DIFFER: Duration = Duration::from_mins(1);
/// The pause before the second attempt of a start that failed, and the longest one.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(15);
/// How many missed starts are counted at most.
const COUNTED: u32 = 1000;

/// Decides what is due and starts it, one start after another, so that two triggers never start for one lock at the same time.
pub struct Scheduler<S> {
    book: Arc<TriggerBook>,
    starter: S,
    /// When each start that waits for a lock is checked again.
    looks: Mutex<BTreeMap<(TriggerKey, Timestamp), Timestamp>>,
}

impl<S: Starter> Scheduler<S> {
    pub fn new(book: Arc<TriggerBook>, starter: S) -> Self {
        Self {
            book,
            starter,
            looks: Mutex::default(),
        }
    }

    pub fn starter(&self) -> &S {
        &self.starter
    }

    /// Makes the starts that are due at this time.
    ///
    /// # Errors
    /// The book can't be written. Starts that fail are recorded in the book, and retried.
    pub fn tick(&self, planted: &[Planted], now: Timestamp) -> Result<(), RunsError> {
        for one in planted {
            self.look(one, now)?;
        }
        for due in self.book.waiting()? {
            let found = planted.iter().find(|one| one.key() == due.key);
            // A start of a trigger that is in no file waits: its file may have mistakes, or be away for a moment while it is replaced. A
            // trigger that stays away is forgotten with its start.
            if let Some(one) = found {
                self.start(one, &due, now)?;
            }
        }
        Ok(())
    }

    /// Records the starts of a trigger that have become due since the last check.
    fn look(&self, one: &Planted, now: Timestamp) -> Result<(), RunsError> {
        let (key, definition) = (one.key(), one.trigger.occasion_text());
        let known = self.book.known(&key)?;
        let known = match known {
            Some(known) if known.definition == definition => known,
            _ => return self.book.begin(&key, &definition, now),
        };
        let reached = self.reached(&key, known.reached, now)?;
        match &one.trigger.occasion {
            Occasion::Webhook(_) => Ok(()),
            _ if known.paused.is_some() => self.pass(one, &key, reached, now),
            Occasion::Schedule(schedule) => self.scheduled(one, key, schedule, reached, now),
            Occasion::WhenDue(before, _) => self.expiring(one, key, *before, now),
        }
    }

    /// Returns up to when a trigger has been checked. A time that has not come yet was recorded while the clock was wrong: nothing would
    /// be due until then.
    fn reached(
        &self,
        key: &TriggerKey,
        reached: Timestamp,
        now: Timestamp,
    ) -> Result<Timestamp, RunsError> {
        if reached.since(now) <= CLOCKS_DIFFER {
            return Ok(reached);
        }
        tracing::warn!(trigger = %key, %reached, %now, "a trigger was checked at a time that has not come yet; its starts are checked from now on");
        self.book.turn_back(key, now)?;
        Ok(now)
    }

    /// Skips due starts of a paused trigger. A certificate stays due until it is renewed, so it is not forgotten.
    fn pass(
        &self,
        one: &Planted,
        key: &TriggerKey,
        reached: Timestamp,
        now: Timestamp,
    ) -> Result<(), RunsError> {
        let waits = self.book.waiting()?.iter().any(|due| due.key == *key);
        match &one.trigger.occasion {
            Occasion::Schedule(schedule) => {
                let next = schedule.next_after(reached);
                if waits || next.is_some_and(|next| next <= now) {
                    self.book.pass(key, now)?;
                }
            }
            _ if waits => self.book.forget_waiting(key)?,
            _ => {}
        }
        Ok(())
    }

    fn scheduled(
        &self,
        one: &Planted,
        key: TriggerKey,
        schedule: &Schedule,
        reached: Timestamp,
        now: Timestamp,
    ) -> Result<(), RunsError> {
        let Some((last, count)) = schedule.last_within(reached, now, COUNTED) else {
            return Ok(());
        };
        let due = Due {
            is_late: now.since(last) > ON_TIME,
            missed: count - 1,
            ..due(key, last)
        };
        match (due.is_late, one.trigger.catch_up) {
            (true, CatchUp::None) => self.book.skip(&due, now),
            _ => self.book.want(&due, &[], now),
        }
    }

    /// One start is for all certificates that have become due.
    fn expiring(
        &self,
        one: &Planted,
        key: TriggerKey,
        before: Duration,
        now: Timestamp,
    ) -> Result<(), RunsError> {
        let lives = self.starter.lives(one);
        let is_over = |due: &Timestamp| *due <= now;
        let dues = lives.iter().map(|life| life.due_at(before));
        let mut dues: Vec<_> = dues.filter(is_over).collect();
        if dues.is_empty() {
            return Ok(());
        }
        let seen = self.book.seen(&key)?;
        dues.retain(|due| !seen.contains(due));
        let again = lives.iter().flat_map(|life| life.due_again_at(before));
        let again: Vec<_> = again
            .filter(|due| is_over(due) && !seen.contains(due))
            .collect();
        // What a start now is for is over with it. By itself, it makes another one only if the run of the last one has ended well.
        if !dues.is_empty() || !again.is_empty() && self.last_has_succeeded(&key)? {
            dues.extend(again);
        }
        dues.sort_unstable();
        dues.dedup();
        let Some(last) = dues.pop() else {
            return Ok(());
        };
        self.book.want(&due(key, last), &dues, now)
    }

    fn last_has_succeeded(&self, key: &TriggerKey) -> Result<bool, RunsError> {
        let run = self.book.last(key)?.and_then(|made| made.run);
        Ok(run.is_some_and(|run| self.starter.has_succeeded(&run)))
    }

    /// Makes a waiting start, unless its lock is held.
    fn start(&self, one: &Planted, due: &Due, now: Timestamp) -> Result<(), RunsError> {
        let mark = (due.key.clone(), due.due);
        let mut looks = lock(&self.looks);
        let again_at = looks.get(&mark).copied().unwrap_or(due.next_at);
        if !now.has_reached(again_at, LONGEST) {
            return Ok(());
        }
        let held = self.starter.held_by(one, due.due);
        if let Ok(Some(held)) = &held {
            looks.insert(mark, now + LOOKS);
            return self.wait(one, due, held);
        }
        looks.remove(&mark);
        drop(looks);
        let trigger = &due.key;
        let error = match held.and_then(|_| self.starter.start(one, due.due)) {
            Ok(run) => {
                tracing::info!(%trigger, run = run.as_deref(), "a trigger started a run");
                return self.book.started(due, run.as_deref(), now);
            }
            Err(error) => error,
        };
        let attempt = due.attempts + 1;
        tracing::warn!(%trigger, attempt, code = error.code, %error, "a trigger could not start a run; it will be retried");
        if due.attempts == 0 {
            self.starter.failed(one, due.due, &error);
        }
        let pause = backoff(SHORTEST..=LONGEST, attempt, jitter());
        self.book.waits(due, &error.message, attempt, now + pause)
    }

    /// Records what a start waits for. If that lasts until a person acts, a notification is sent once.
    fn wait(&self, one: &Planted, due: &Due, held: &Held) -> Result<(), RunsError> {
        let Held { why, is_stuck } = held;
        let is_news = *is_stuck && due.attempts == 0;
        if is_news {
            tracing::warn!(trigger = %due.key, why, "a start waits for a run that nobody drives");
            let error = RunsError::conflict("run-owned", why);
            self.starter.failed(one, due.due, &error);
        }
        if is_news || due.why.as_ref() != Some(why) {
            let attempts = due.attempts.max(is_news.into());
            self.book.waits(due, why, attempts, due.next_at)
        } else {
            Ok(())
        }
    }
}

fn due(key: TriggerKey, due: Timestamp) -> Due {
    Due {
        key,
        due,
        is_late: false,
        missed: 0,
        attempts: 0,
        next_at: Timestamp::EPOCH,
        why: None,
    }
}

#[cfg(test)]
mod tests;
