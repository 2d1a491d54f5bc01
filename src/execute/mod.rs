//! Does what `decide` says: starts attempts on blocking threads, sends every effect through the
//! gate, and writes each event to the journal before acting on it.
//!
//! - [`drive`] takes a run to its end;
//! - `attempt` is one attempt of one step, `gate` its effects, `doubt` those that nobody
//!   knows the end of, `undo` one that goes backwards;
//! - `neighbours` is what other processes ask for and hold, `retry` when a failure is tried again;
//! - [`Observer`] is told what happens, for people.

mod attempt;
mod doubt;
mod driver;
mod gate;
mod neighbours;
mod observer;
mod retry;
mod shown;
mod undo;

pub use driver::{Cancel, DriveError, Ended, Settings, drive};
pub use observer::{Observer, Silent};
pub use undo::{UndoItem, UndoKind, undo_plan};
