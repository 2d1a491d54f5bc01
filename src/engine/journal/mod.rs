//! The journal of runs: the only truth about them.
//!
//! - [`Event`] is what can happen, with what it carries (`payload`); a run is a sequence of them;
//! - [`State`] is the fold over that sequence, and refuses what can't follow;
//! - [`Journal`] keeps the events in SQLite, `RunJournal` appends to one run;
//! - `redacted` takes secrets out of events before they are recorded, `seal` encrypts the others, `lock` lets one process at a time own a run;
//! - [`Vault`] seals the secrets of events that another substrate keeps.
//!
//! # On disk
//! `STATE/journal.db` (SQLite, WAL, `synchronous=FULL`, `user_version` 3; older ones are brought up
//! by `schema`):
//!
//! | table | what |
//! |---|---|
//! | `runs` | one row a run; its `status` is a copy of what the events say, for lists; `events` and `head` say where its chain ends |
//! | `events` | `(run, seq)`, milliseconds since 1970, the event as JSON, the SHA-256 that chains it to the one before (`chain`) |
//! | `files`, `run_files` | the texts that a run froze, each once; an edition for each `resume --edited` |
//! | `messages` | what other processes ask of the one that drives a run |
//! | `locks` | who holds which lock, also while no process drives the run |
//! | `pruned` | what is left of deleted runs; made with the first of them (`prune`) |
//!
//! `STATE/identity.txt` (0600) is the `age` identity that secrets in events are encrypted to;
//! `STATE/locks/RUN` is the OS lock of the process that drives a run.

mod chain;
mod crash;
mod error;
mod event;
mod evidence;
mod folder;
mod id;
mod instance;
mod items;
mod listing;
mod lock;
mod message;
mod owner;
mod payload;
mod prune;
mod redacted;
mod schema;
mod seal;
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
pub use instance::{
    ATTEMPT_KILLED, Answer, Approval, EffectState, Instance, Round, RoundRef, Status,
};
pub use items::Items;
pub use listing::{HeldLock, RunsWanted};
pub use lock::RunLock;
pub use message::{Decision, Message, Verdict, Via};
pub use payload::{
    AnswerRefused, ApprovalAsked, ApprovalDecided, AttemptAnswered, EffectAnswered, EffectEnded,
    EffectIntended, EffectSettled, LockReleased, LockTaken, Logged, RunCancelled, RunEdited,
    RunEnded, RunResumed, RunStarted, StepFailed, StepSkipped, StepStarted, StepSucceeded,
    UndoStarted,
};
pub use prune::Pruned;
pub use state::{IllegalTransition, RunInfo, State};
pub use store::{Journal, NewRun, Record, RunRow, fold};
pub use vault::Vault;
pub use writer::{Claim, RunJournal};
