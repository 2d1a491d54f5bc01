//! Does what `decide` says: starts attempts on blocking threads, sends every effect through the
//! gate, and writes each event to the journal before acting on it.
//!
//! - [`drive`] takes a run to its end;
//! - `attempt` is one attempt of one step, `gate` its effects;
//! - [`Observer`] is told what happens, for people.

mod attempt;
mod driver;
mod gate;
mod observer;

pub use driver::{Cancel, DriveError, Settings, drive};
pub use observer::{Observer, Silent};
