//! The journal of runs: the only truth about them.
//!
//! - [`Event`] is an event with its data (`payload`); a run is a sequence of events;
//! - [`State`] is the fold over that sequence, and rejects events that can't follow;
//! - [`RunStanding`] says how a run that has not ended stands;
//! - [`Journal`] keeps the events in SQLite, `RunJournal` appends to one run;
//! - `redacted` takes secrets out of events before they are recorded, `seal` encrypts the others, `lock` lets one process at a time own a run;
//! - [`Vault`] seals the secrets of events that another substrate stores.
//!
//! # On disk
//! `STATE/journal.db` (SQLite, WAL, `synchronous=FULL`, `user_version` 3; `schema` upgrades older
//! ones):
//!
//! | table | what |
//! |---|---|
//! | `runs` | one row for each run; its `status` is derived from the events, for lists; `events` and `head` record where its chain ends |
//! | `events` | `(run, seq)`, milliseconds since 1970, the event as JSON, the SHA-256 that links it to the one before (`chain`) |
//! | `files`, `run_files` | the texts that a run froze, each stored once; an edition for each `resume --edited` |
//! | `messages` | requests of other processes to the one that drives a run |
//! | `locks` | the holder of each lock, even while no process drives its run |
//! | `pruned` | the remains of deleted runs; created when the first run is deleted (`prune`) |
//!
//! `STATE/identity.txt` (0600) is the `age` identity for which secrets in events are encrypted;
//! `STATE/locks/RUN` is the OS lock of the process that drives a run.

mod chain;
mod crash;
mod error;
mod event;
mod evidence;
mod id;
mod info;
mod instance;
mod items;
mod listing;
mod lock;
mod message;
mod owner;
mod payload;
mod placed;
mod prune;
mod reading;
mod redacted;
mod schema;
mod seal;
mod standing;
mod state;
mod store;
mod transition;
mod vault;
mod writer;

pub use chain::chain_start;
pub use crash::{crash_point, crash_points};
pub use error::JournalError;
pub use event::{CallRecord, EffectOutcome, Event, Outcome};
pub use evidence::{Link, Verified, open_links, verify};
pub use id::{InstanceId, NotAnInstance, Position, RunId, Segment};
pub use info::{FormerEdition, RunInfo};
pub use instance::{
    ATTEMPT_KILLED, Answer, Approval, EffectState, Instance, Round, RoundRef, Status,
};
pub use items::Items;
pub use listing::{HeldLock, RunRow, RunsWanted};
pub use lock::RunLock;
pub use message::{Decision, Message, Verdict, Via};
pub use payload::{
    AnswerRefused, ApprovalAsked, ApprovalDecided, AttemptAnswered, EffectAnswered, EffectEnded,
    EffectIntended, EffectSettled, LockReleased, LockTaken, Logged, RunCancelled, RunEdited,
    RunEnded, RunResumed, RunStarted, StepFailed, StepSkipped, StepStarted, StepSucceeded,
    UndoStarted,
};
pub use placed::JOURNAL;
pub use prune::Pruned;
pub use seal::holds_secrets;
pub use standing::RunStanding;
pub use state::{IllegalTransition, State};
pub use store::{Journal, NewRun, Record, apply, fold, refuse_lost};
pub use vault::Vault;
pub use writer::{Claim, RunJournal};
