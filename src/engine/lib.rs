//! Decides what happens in a run, and does it.
//!
//! # Layout
//!
//! - [`decide`]: [`decide::next`] says what may happen next, from a compiled workflow and the state of its run; without a clock, I/O
//!   or async.
//! - [`execute`]: [`execute::drive`] asks `decide`, appends to the journal, and then does it.

pub mod decide;
pub mod execute;
