//! Starts by themselves: what `triggers:` of a workflow asks for, done by `windlass serve`.
//!
//! - [`Planted`] is a trigger and the workflow that it stands in; [`planted`] finds them all;
//! - `scheduler` decides what is due, and starts it through a [`Starter`]; the clock is handed to it;
//! - `starter` is that for the service over runs; `hook` checks signed requests and starts what they ask for;
//! - `book` remembers what was due and what became of it; `standing` says it to people;
//! - [`Triggers`] is all of it within a server; `together` is what several servers over the same runs tell each
//!   other, `there` asks a server elsewhere.
//!
//! # How nothing is lost or doubled
//! What came due is written down (`waiting`), together with how far the schedule has been looked at, before anything is started. A
//! start has a key made of the workflow, the trigger and the time at which it was due, so one that was made and not noted gives the
//! same run again.
//!
//! # On disk
//! `STATE/serve.db` (SQLite):
//!
//! | table | what |
//! |---|---|
//! | `triggers` | how far each trigger has been looked at, and who paused it |
//! | `trigger_starts` | what came due, and what became of it: `waiting`, `started`, `replaced`, `skipped` |

mod book;
mod hook;
mod planted;
mod scheduler;
mod service;
mod standing;
mod starter;
mod there;
mod together;

pub use book::{Paused, TriggerBook, TriggerKey};
pub use hook::{HookAnswer, HookRefused, HookStart};
pub use planted::{Planted, Unread, planted};
pub use scheduler::Scheduler;
pub use service::{Triggers, refuse_unknown};
pub use standing::{LastStart, TriggerStanding, Waits, standings};
pub use starter::{Life, Starter, ThroughRuns, lives};
pub use there::{TriggersThere, set_paused_there};
