//! Runs tests of workflows: `windlass test` runs the test files that `compile` has read.
//!
//! Each test is a separate run in a separate folder and process, so that it can be killed:
//!
//! - `find` looks for test files;
//! - `play` is the run itself, in a process that does nothing else; its outside is the `stage`, which answers each call with the
//!   test's own `answers` (`matching`, by the names that `named` gives the arguments) and writes each one to the `log`;
//! - `conduct` starts these processes, and kills them at the points that the test asks for;
//! - `outcome` reads the result of the run from the folder, `judge` compares it with the expectations of the test,
//!   `compare` compares runs with each other, `certificates` checks what the embedded servers were left with;
//! - `setup` plays the runs before tests once, and copies what they leave; `mesh` reads from clusters for a test;
//! - `coverage` collects which steps, branches and lines the tests reached;
//! - `suites` runs all tests of all files in parallel; `junit` writes the results for other programs;
//! - `mutate` alters the tested files, and reports which tests notice;
//! - `record` creates a test from a run that has ended, without the numbers of its `accounts` and what it made `anew`.
//!
//! A test's folder holds `.windlass/` (its journal, the embedded servers), `out/`, `calls.jsonl` (the log),
//! `covered.json` and `moments`.

mod accounts;
mod anew;
mod answers;
mod certificates;
mod compare;
mod conduct;
mod coverage;
mod find;
mod judge;
mod junit;
mod log;
mod matching;
mod mesh;
mod mutate;
mod named;
mod outcome;
mod play;
mod record;
mod setup;
mod snapshot;
mod stage;
mod suites;

pub use conduct::Player;
pub use coverage::{Coverage, Covered, Part};
pub use find::{find, walk};
pub use judge::Problem;
pub use junit::junit;
pub use mutate::{Fate, Hunt, HuntError, Hunted, Mutant, MutateOptions, Score, hunt};
pub use play::play;
pub use record::{Earlier, Recorded, record, uses_servers};
pub use suites::{Options, Ran, SuiteError, Tested, run};
