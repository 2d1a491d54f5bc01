//! Windlass runs a workflow, a graph of small scripts, so that nothing is ever done twice.
//!
//! # The way of a run
//!
//! 1. [`cli`] reads the command line.
//! 2. [`compile::compile`] turns files into a checked [`compile::Program`], or every mistake at once.
//! 3. [`targets::OpenTarget`] opens the clients, starting the embedded servers for `local`.
//! 4. [`execute::drive`] asks [`decide::next`] what may happen, writes it to the [`journal`], and does it.
//! 5. An attempt runs a [`script::Script`]; each call to the world is a [`script::Call`] and goes through the
//!    gate, [`script::Effects`], to the clients of [`outside`].
//! 6. [`report`] shows the [`journal::State`], the fold over what was written; the [`inventory`] of certificates is one over all runs.
//!
//! # Layout
//!
//! [`value`] holds the words that all rooms share, [`x509`] local keys and requests. [`authority`] is an AWS Private
//! CA of its own and [`cluster`] a Kubernetes API server; they know nothing of the rest. Why it is so:
//! `docs/architecture.md`. [`disk`] makes folders that stay.

#![forbid(unsafe_code)]
// `say!` and `print` instead: the standard macros panic where the other end is closed.
#![warn(clippy::print_stderr, clippy::print_stdout)]

/// Counts what each thread allocates: a script that takes too much is stopped by it ([`script`]).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub mod authority;
pub mod cli;
pub mod cluster;
pub mod compile;
pub mod decide;
pub mod disk;
pub mod execute;
mod ground;
pub mod inventory;
pub mod journal;
pub mod mock;
pub mod outside;
pub mod report;
pub mod script;
pub mod targets;
pub mod testing;
pub mod value;
pub mod x509;
