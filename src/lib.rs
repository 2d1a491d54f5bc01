//! Windlass runs a workflow, a graph of small scripts, so that nothing is ever done twice.
//!
//! # The way of a run
//!
//! 1. [`cli`] reads the command line.
//! 2. [`compile::compile`] turns files into a checked [`compile::Program`], or every mistake at once.
//! 3. [`targets::OpenTarget`] opens the clients, starting the embedded servers for `local`.
//! 4. [`execute::drive`] asks [`decide::next`] what may happen, writes it to the [`journal`], and does it.
//! 5. An attempt runs a [`script::Script`]; each call to the outside is a [`script::Call`] and goes through the gate,
//!    [`script::Effects`], to the clients of [`outside`].
//! 6. [`report`] shows the [`journal::State`], the fold over the recorded events; the [`inventory`] of certificates is
//!    one over all runs.
//!
//! # Layout
//!
//! Each folder beside these is a crate of its own, which Cargo lets know only what it depends on:
//!
//! - [`cli`]: one file for each command, and its arguments;
//! - [`keep`]: backups of a state folder, and their restore;
//! - [`testing`]: tests of workflows, their coverage and mutants;
//! - [`mcp`]: the runs as tools for assistants;
//! - [`mock`]: the web server of `windlass http serve`.
//!
//! What the other crates hold: `docs/architecture.md`. Why: `docs/decisions.md`.

#![forbid(unsafe_code)]
// `say!` and `print` instead: the standard macros panic where the other end is closed.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod cli;
pub mod keep;
pub mod mcp;
pub mod mock;
pub mod testing;

pub use windlass_authority as authority;
pub use windlass_cluster as cluster;
pub use windlass_compile as compile;
pub use windlass_desk as desk;
pub use windlass_engine::{decide, execute};
pub use windlass_ground::{self as ground, disk};
pub use windlass_inventory as inventory;
pub use windlass_journal as journal;
pub use windlass_lsp as lsp;
pub use windlass_mesh as mesh;
pub use windlass_notify as notify;
pub use windlass_report as report;
#[cfg(feature = "restate")]
pub use windlass_restate as restate;
pub use windlass_runs as runs;
pub use windlass_script as script;
pub use windlass_targets as targets;
pub use windlass_telemetry as telemetry;
pub use windlass_triggers as triggers;
pub use windlass_world::{outside, value, x509};
