//! Tests of workflows: `windlass test` runs the test files that `compile` has read.
//!
//! Each test is a run of its own in a folder of its own, in a process of its own, so that it can be killed:
//!
//! - `find` looks for test files;
//! - `play` is the run itself, in a process that does nothing else; its outside is the `stage`, which answers each call by
//!   the test's own `answers` (`matching`, by the names that `named` gives the arguments) and writes each one to the `log`;
//! - `conduct` starts these processes, and kills them where the test says so;
//! - `outcome` reads from the folder what became of the run, `judge` holds that against what the test expects, and
//!   `compare` one run against another, `certificates` what the embedded servers were left with;
//! - `setup` plays the runs before tests once, and copies what they leave; `mesh` is how a test looks at clusters;
//! - `coverage` adds up which steps, branches and lines the tests reached;
//! - `suites` runs all tests of all files side by side; `junit` writes what came of them for other programs;
//! - `mutate` alters the files that are tested, and says which tests notice;
//! - `record` makes a test of a run that has ended, without the numbers of its `accounts`.
//!
//! A test's folder holds `.windlass/` (its journal, the embedded servers), `out/`, `calls.jsonl` (the log),
//! `covered.json` and `moments`.

mod accounts;
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
pub use find::{find, is_test, walk};
pub use judge::Problem;
pub use junit::junit;
pub use mutate::{Fate, Hunt, HuntError, Hunted, Mutant, MutateOptions, Score, hunt};
pub use play::play;
pub use record::{Earlier, Recorded, record, uses_servers};
pub use suites::{Options, Ran, SuiteError, Tested, run};
