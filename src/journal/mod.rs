//! The journal of runs: the only truth about them.
//!
//! - [`Event`] is what can happen; a run is a sequence of them;
//! - [`State`] is the fold over that sequence, and refuses what can't follow;
//! - [`Journal`] keeps the events in SQLite, `RunJournal` appends to one run;
//! - `seal` encrypts secrets, `lock` lets one process at a time own a run.
//!
//! # On disk
//! `STATE/journal.db` (SQLite, WAL, `synchronous=FULL`, `user_version` 1):
//!
//! | table | what |
//! |---|---|
//! | `runs` | one row a run; its `status` is a copy of what the events say, for lists |
//! | `events` | `(run, seq)`, milliseconds since 1970, the event as JSON, the SHA-256 that chains it to the one before |
//! | `files`, `run_files` | the texts that a run froze, each once |
//!
//! `STATE/identity.txt` (0600) is the `age` identity that secrets in events are encrypted to;
//! `STATE/locks/RUN` is the OS lock of the process that drives a run.

mod error;
mod event;
mod id;
mod lock;
mod seal;
mod state;
mod store;

pub use error::JournalError;
pub use event::{CallRecord, EffectOutcome, Event, Outcome};
pub use id::{InstanceId, Position, RunId};
pub use lock::RunLock;
pub use state::{EffectState, IllegalTransition, Instance, RunInfo, State, Status};
pub use store::{Journal, NewRun, Record, RunJournal, RunRow, milliseconds};
