//! Mutants: `windlass test --mutate` alters the scripts and workflows in one place at a time, and reports which tests notice.
//!
//! - `script` and `workflow` list what can be altered in a file (`Edit`);
//! - `hunt` runs the tests that reach an altered line, in a copy of the workflow's folder, until one fails.

mod hunt;
mod script;
mod workflow;

use std::ops::Range;

pub use hunt::{Fate, Hunt, HuntError, Hunted, Mutant, MutateOptions, Score, hunt};

/// One thing that can be altered in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    /// What stands there instead.
    pub new: String,
    /// Where it is in the file, from 1.
    pub line: usize,
    /// The line of the statement that it is in: tests that reach that one may notice. `None` for what every run of the
    /// file reads.
    pub reached_by: Option<usize>,
    /// In one sentence, for people.
    pub what: String,
}
