//! Starts workflows automatically: `triggers:` of workflow files, used by `windlass serve`.
//!
//! # Layout
//!
//! - [`Planted`] is a trigger with its workflow; [`planted`] finds all of them;
//! - `scheduler` decides what is due, and starts it through a [`Starter`]; the clock is passed in;
//! - `starter` implements it with the service over runs; `hook` checks signed requests and starts runs for them;
//! - `book` records due starts and their outcomes; `standing` describes them for people; `remembered` knows the triggers
//!   of files that can't be read now;
//! - [`Triggers`] (`service`) is all of this within a server; `together` shares it between several servers of the same
//!   runs, `there` asks a server elsewhere.
//!
//! # How no start is lost or repeated
//! A due start is recorded (`waiting`), together with the time up to which the schedule has been checked, before it is
//! made. Its key consists of the workflow, the trigger and the time at which it was due, so a start that was made but not
//! recorded returns the same run again.
//!
//! # On disk
//! `STATE/serve.db` (SQLite):
//!
//! | table | what |
//! |---|---|
//! | `triggers` | up to when each trigger has been checked, and who paused it |
//! | `trigger_files` | the triggers that the files had when they could last be read, and what people were told of them |
//! | `trigger_starts` | the due starts, and their outcomes: `waiting`, `started`, `replaced`, `skipped` |

mod book;
mod hook;
mod planted;
mod remembered;
mod scheduler;
mod service;
mod standing;
mod starter;
mod there;
mod together;

pub use book::{Paused, TriggerBook, TriggerKey};
pub use hook::{HookAnswer, HookRefused, HookStart};
pub use planted::{Planted, Unread, lacking, planted};
pub use remembered::Remembered;
pub use scheduler::Scheduler;
pub use service::{Lost, Triggers, refuse_unknown};
pub use standing::{LastStart, TriggerStanding, Waits, standings};
pub use starter::{Held, Life, Starter, ThroughRuns, lives};
pub use there::{TriggersThere, set_paused_there};
