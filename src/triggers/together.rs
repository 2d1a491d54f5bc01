//! Triggers of several servers over the same runs: each knows how far the others have looked, and who paused what.

use std::collections::BTreeMap;

use super::{
    book::{Paused, TriggerBook, TriggerKey},
    planted::Planted,
};
use windlass_ground::Timestamp;
use windlass_runs::{Peers, RunsError, SeenChange, SeenStart, SeenTrigger};

/// What the servers know of the triggers, by their names.
pub type Seen = BTreeMap<String, SeenTrigger>;

/// Takes over what the servers know of the triggers, and makes known those that are new.
///
/// # Errors
/// A book that can't be written, and what the servers share can't be asked for.
pub fn take_over(
    book: &TriggerBook,
    peers: &dyn Peers,
    planted: &[Planted],
    now: Timestamp,
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
            // What this server knows from when it was alone counts.
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
        if let Some(mark) = marks.get(&name) {
            book.adopt(&key, mark)?;
        }
    }
    Ok(marks)
}

/// Tells the other servers up to when what came due has been dealt with here, where that is more than they have `seen`. What still
/// waits counts as not dealt with, so that another server starts it if this one is lost with its book.
///
/// # Errors
/// As [`take_over`].
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
        let at = match waits {
            true => mark.reached,
            false => known.reached,
        };
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

/// Tells the other servers that a trigger was paused by somebody, or resumed.
///
/// # Errors
/// As [`take_over`].
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
