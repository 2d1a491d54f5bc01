//! Does what `decide` says: starts attempts on blocking threads, sends every effect through the
//! gate, and writes each event to the journal before acting on it.
//!
//! - [`drive`] takes a run to its end;
//! - `attempt` is one attempt of one step, `gate` its effects, `undo` one that goes backwards;
//! - [`Observer`] is told what happens, for people.

mod attempt;
mod driver;
mod gate;
mod observer;
mod undo;

pub use driver::{Cancel, DriveError, Ended, Settings, drive};
pub use observer::{Observer, Silent};
pub use undo::{UndoItem, UndoKind, undo_plan};
