//! Compiles workflows, decides what happens in a run, records it in the journal, and does it.
//!
//! # The path of a run
//!
//! 1. [`compile::compile`] turns files into a checked [`compile::Program`], or every mistake at once.
//! 2. [`execute::drive`] asks [`decide::next`] what may happen, writes it to the [`journal`], and then does it.
//! 3. [`journal::State`] is the fold over the recorded events.

pub mod compile;
pub mod decide;
pub mod execute;
pub mod journal;
