//! Does what `decide` returns: starts attempts on blocking threads, passes every effect through the gate, and writes
//! each event to the journal before acting on it.
//!
//! - [`drive`] takes a run to its end, on the journal of this machine;
//! - `driver` is the loop, which is the same on every `substrate`; `embedded` is the substrate within this process;
//! - `attempt` is one attempt of one step, `gate` passes its effects and `entries` records them, `doubt`
//!   settles those in doubt, `undo` reverses a step and `settle` finds out what it must know first, `stops` ends an attempt;
//! - `neighbours` handles requests of others and their locks, `retry` decides when a failure is retried;
//! - `dry_run` tries steps before a run begins, `look` runs those that only read;
//! - Restate, the substrate for many machines, is a crate of its own;
//! - [`Stage`] replaces the outside in a test;
//! - [`Observer`] receives events, to show them to people, and each call (`calls`), to trace it.

mod attempt;
mod calls;
mod doubt;
mod driver;
mod dry_run;
mod embedded;
mod entries;
mod gate;
mod look;
mod neighbours;
mod observer;
mod retry;
mod settle;
mod shown;
mod stage;
mod stops;
mod substrate;
mod undo;

pub use attempt::{Attempt, Finished, Task, Trouble, Work};
pub use driver::{Conduct, DriveError, Driver, Ended, Settings, drive};
pub use dry_run::{Obstacle, obstacles};
pub use embedded::Cancel;
pub use look::look;
pub use observer::{CallId, Called, Observer, Silent};
pub use settle::must_be_found_out;
pub use stage::Stage;
pub use stops::Stops;
pub use substrate::{Entry, Happened, Ledger, Made, Making, Substrate, Wait};
pub use undo::{UndoItem, UndoKind, Undone, undo_plan, undone};
