//! Compiles workflows, decides what happens in a run, records it in the journal, and does it.
//!
//! # Layout
//!
//! In the order of a run:
//!
//! 1. [`compile`]: [`compile::compile`] turns files into a checked [`compile::Program`], or every mistake at once.
//! 2. [`decide`]: [`decide::next`] says what may happen next; without a clock, I/O or async.
//! 3. [`journal`]: events, their store in SQLite, and [`journal::State`], the fold over them.
//! 4. [`execute`]: [`execute::drive`] asks `decide`, appends to the journal, and then does it.

pub mod compile;
pub mod decide;
pub mod execute;
pub mod journal;
