//! What several servers over the same runs tell each other.

use std::collections::BTreeMap;

use super::error::RunsError;
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// What several servers over the same runs tell each other, so that each trigger starts one run and each notice
/// is sent once.
pub trait Peers: Send + Sync {
    /// Returns since when events are told: since the first server that asked.
    fn notifies_since(&self, now: Timestamp) -> Result<Timestamp, RunsError>;

    /// Asks whether this server may send a notice to its receiver; where it may, no other one may before `until`.
    fn may_send(
        &self,
        delivery: Digest,
        happened_at: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<SendTurn, RunsError>;

    /// Tells the others that a notice was sent, or given up.
    fn is_sent(&self, delivery: Digest) -> Result<(), RunsError>;

    /// Tells the others that a notice could not be sent, and when the next attempt is made, whoever makes it.
    fn not_sent(&self, delivery: Digest, next_at: Timestamp) -> Result<(), RunsError>;

    /// Returns how far each trigger has been looked at, by its name.
    fn trigger_marks(&self) -> Result<BTreeMap<String, SeenTrigger>, RunsError>;

    /// Changes what is known of a trigger.
    fn mark_trigger(&self, trigger: &str, change: SeenChange) -> Result<(), RunsError>;
}

/// Whether a server may send a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTurn {
    Ours,
    /// Another server's, until then.
    Theirs {
        until: Timestamp,
    },
    /// It was sent, or given up.
    Over,
}

/// How far a trigger has been looked at by any server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTrigger {
    /// When it starts its workflow, as it was when it was last looked at.
    pub definition: String,
    /// Up to when what came due has been dealt with.
    pub reached: Timestamp,
    /// Who paused it, and when.
    pub paused: Option<(String, Timestamp)>,
    /// The last start that it made.
    pub last: Option<SeenStart>,
}

/// A start that a trigger made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenStart {
    pub due: Timestamp,
    pub at: Timestamp,
    /// Whether nothing ran when it was due, and it was made up for.
    pub is_late: bool,
    /// `None` where the run is not known any more.
    pub run: Option<String>,
}

/// What changes of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenChange {
    /// It is looked at for the first time, or has another definition: nothing before `at` is due.
    Begun {
        definition: String,
        at: Timestamp,
    },
    Reached {
        at: Timestamp,
        last: Option<SeenStart>,
    },
    Paused {
        by: String,
        at: Timestamp,
    },
    Resumed {
        at: Timestamp,
    },
}
