//! What several servers of the same runs share.

use std::collections::BTreeMap;

use super::error::RunsError;
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// The connection between several servers of the same runs, so that each trigger starts one run and each notification is sent
/// once.
pub trait Peers: Send + Sync {
    /// Returns the time since which events cause notifications: that of the first request of any server.
    fn notifies_since(&self, now: Timestamp) -> Result<Timestamp, RunsError>;

    /// Asks whether this server may send a notification to its receiver; if so, no other server may send it before `until`.
    fn may_send(
        &self,
        delivery: Digest,
        happened_at: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<SendTurn, RunsError>;

    /// Records for all servers that a notification was sent or given up.
    fn is_sent(&self, delivery: Digest) -> Result<(), RunsError>;

    /// Records for all servers that a notification could not be sent, and when any of them makes the next attempt.
    fn not_sent(&self, delivery: Digest, next_at: Timestamp) -> Result<(), RunsError>;

    /// Returns how far each trigger has been checked, by its name.
    fn trigger_marks(&self) -> Result<BTreeMap<String, SeenTrigger>, RunsError>;

    /// Updates the record of a trigger.
    fn mark_trigger(&self, trigger: &str, change: SeenChange) -> Result<(), RunsError>;
}

/// Whether a server may send a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTurn {
    Ours,
    /// Another server may send it, until this time.
    Theirs {
        until: Timestamp,
    },
    /// It was sent or given up.
    Over,
}

/// How far a trigger has been checked by any server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTrigger {
    /// The trigger's definition when it was last checked.
    pub definition: String,
    /// The time up to which due starts have been handled.
    pub reached: Timestamp,
    /// The person who paused it, and when.
    pub paused: Option<(String, Timestamp)>,
    /// The last start that it made.
    pub last: Option<SeenStart>,
}

/// A start that a trigger made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenStart {
    pub due: Timestamp,
    pub at: Timestamp,
    /// Whether it was due while no server ran, and was made later.
    pub is_late: bool,
    /// `None` if the run is no longer known.
    pub run: Option<String>,
}

/// A change of a trigger's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenChange {
    /// It is checked for the first time, or has a new definition: nothing before `at` is due.
    Begun {
        definition: String,
        at: Timestamp,
    },
    Reached {
        at: Timestamp,
        last: Option<SeenStart>,
    },
    /// What was recorded of times after `at` was recorded while a clock was ahead.
    TurnedBack {
        at: Timestamp,
    },
    Paused {
        by: String,
        at: Timestamp,
    },
    Resumed {
        at: Timestamp,
    },
}
