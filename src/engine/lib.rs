//! Workflows: read, decided, recorded and run.
//!
//! # The way of a run
//!
//! 1. [`compile::compile`] turns files into a checked [`compile::Program`], or every mistake at once.
//! 2. [`execute::drive`] asks [`decide::next`] what may happen, writes it to the [`journal`], and does it.
//! 3. [`journal::State`] is the fold over what was written.

pub mod compile;
pub mod decide;
pub mod execute;
pub mod journal;
