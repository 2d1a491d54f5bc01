//! The triggers of several servers of the same runs: each knows up to when the others have checked them, and who paused which.

use std::collections::BTreeMap;

use super::{
    book::{Paused, TriggerBook, TriggerKey},
    planted::Planted,
    scheduler::CLOCKS_DIFFER,
};
use windlass_ground::Timestamp;
use windlass_runs::{Peers, RunsError, SeenChange, SeenStart, SeenTrigger};

/// The servers' records of the triggers, by name.
pub type Seen = BTreeMap<String, SeenTrigger>;

/// Adopts the servers' records of the triggers, and publishes new triggers. Calls `made` for each trigger of which another server has made a start.
///
/// # Errors
/// A book that can't be written, or shared data that can't be read.
pub fn take_over(
    book: &TriggerBook,
    peers: &dyn Peers,
    planted: &[Planted],
    now: Timestamp,
    mut made: impl FnMut(&Planted),
) -> Result<Seen, RunsError> {
    let mut marks = peers.trigger_marks()?;
    for one in planted {
        let (key, definition) = (one.key(), one.trigger.occasion_text());
        let name = key.to_string();
        if marks
            .get(&name)
            .is_none_or(|mark| mark.definition != definition)
        {
            let known = book.known(&key)?;
            // What this server knows from before it shared its runs is kept.
            let paused = known.as_ref().and_then(|known| known.paused.clone());
            let known = known.filter(|known| known.definition == definition);
            let at = known.map_or(now, |known| known.reached);
            peers.mark_trigger(&name, SeenChange::Begun { definition, at })?;
            if let (Some(Paused { by, at }), false) = (paused, marks.contains_key(&name)) {
                peers.mark_trigger(&name, SeenChange::Paused { by, at })?;
            }
            // Another server may have been first.
            marks = peers.trigger_marks()?;
        }
        let is_ahead = |mark: &SeenTrigger| mark.reached.since(now) > CLOCKS_DIFFER;
        if marks.get(&name).is_some_and(is_ahead) {
            peers.mark_trigger(&name, SeenChange::TurnedBack { at: now })?;
            marks = peers.trigger_marks()?;
        }
        if let Some(mark) = marks.get(&name)
            && book.adopt(&key, mark)?
        {
            made(one);
        }
    }
    Ok(marks)
}

/// Publishes up to when starts have been handled here, if that is later than in `seen`. A waiting start does not count as handled, so
/// that another server makes it if this one is lost with its book.
///
/// # Errors
/// The same as of [`take_over`].
pub fn tell(
    book: &TriggerBook,
    peers: &dyn Peers,
    planted: &[Planted],
    seen: &Seen,
) -> Result<(), RunsError> {
    let waiting = book.waiting()?;
    for one in planted {
        let key = one.key();
        let name = key.to_string();
        let (Some(mark), Some(known)) = (seen.get(&name), book.known(&key)?) else {
            continue;
        };
        let waits = waiting.iter().any(|due| due.key == key);
        let at = if waits { mark.reached } else { known.reached };
        let last = book.last(&key)?.map(|made| SeenStart {
            due: made.due,
            at: made.at,
            is_late: made.is_late,
            run: made.run,
        });
        let seen_at = mark.last.as_ref().map(|start| start.at);
        let is_new = last.as_ref().map(|start| start.at) > seen_at;
        if at > mark.reached || is_new {
            peers.mark_trigger(&name, SeenChange::Reached { at, last })?;
        }
    }
    Ok(())
}

/// Publishes that a person has paused or resumed a trigger.
///
/// # Errors
/// The same as of [`take_over`].
pub fn tell_pause(
    peers: &dyn Peers,
    key: &TriggerKey,
    by: Option<&str>,
    at: Timestamp,
) -> Result<(), RunsError> {
    let change = match by {
        Some(by) => SeenChange::Paused {
            by: by.to_owned(),
            at,
        },
        None => SeenChange::Resumed { at },
    };
    peers.mark_trigger(&key.to_string(), change)
}

/// Publishes that no file has a trigger any more: nothing is due before a file has it again. A server whose files still have it continues
/// from what it knows.
///
/// # Errors
/// The same as of [`take_over`].
pub fn tell_gone(peers: &dyn Peers, key: &TriggerKey, at: Timestamp) -> Result<(), RunsError> {
    let change = SeenChange::Begun {
        definition: String::new(),
        at,
    };
    peers.mark_trigger(&key.to_string(), change)
}
