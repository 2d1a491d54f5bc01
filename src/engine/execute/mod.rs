//! Does what `decide` returns: starts attempts on blocking threads, passes every effect through the gate, and writes
//! each event to the journal before acting on it.
//!
//! - [`drive`] takes a run to its end, on the journal of this machine;
//! - `driver` is the loop, the same on every `substrate`; `embedded` is the one that needs nothing, `runners` its threads;
//! - `attempt` is one attempt of one step, `gate` its effects and `entries` what they record, `doubt`
//!   those in doubt, `undo` one that goes backwards and `settle` what it must find out first, `stops` what ends it;
//! - `undo_plan` says what an undo would do, and what one has done;
//! - `neighbours` is what others ask for and hold (`circle`: each other's locks), `retry` when a failure is tried again;
//! - `editions` compiles the files of a run that was edited;
//! - `dry_run` tries steps before a run begins, `look` runs those that only read;
//! - Restate, the substrate for many machines, is a crate of its own;
//! - [`Stage`] replaces the outside in a test;
//! - [`Observer`] receives events, to show them to people, and each call (`calls`), to trace it.

mod attempt;
mod calls;
mod circle;
mod doubt;
mod driver;
mod dry_run;
mod editions;
mod embedded;
mod entries;
mod gate;
mod look;
mod neighbours;
mod observer;
mod retry;
mod runners;
mod settle;
mod shown;
mod stage;
mod stops;
mod substrate;
mod undo;
mod undo_plan;

pub use attempt::{Attempt, Finished, Task, Trouble, Work};
pub use circle::{Waiting, circle};
pub use driver::{Conduct, DriveError, Driver, Ended, HolderStands, Settings, drive};
pub use dry_run::{Obstacle, obstacles};
pub use editions::{compile_editions, former_edition};
pub use embedded::Cancel;
pub use look::{Looked, look};
pub use observer::{CallId, Called, Observer, Silent};
pub use settle::{FoundOut, found_out};
pub use stage::{CancellationToken, Stage};
pub use stops::Stops;
pub use substrate::{Entry, Happened, Ledger, Made, Making, Substrate, Wait};
pub use undo::reversal_of;
pub use undo_plan::{Sight, UndoItem, UndoKind, Undone, stays, undo_plan, undone};
