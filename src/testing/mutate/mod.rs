//! Mutants: `windlass test --mutate` alters the scripts and workflows in one place at a time, and reports which tests notice.
//!
//! - `script` and `workflow` list what can be altered in a file (`Edit`);
//! - `hunt` runs the tests that reach an altered line, in a copy of the workflow's folder, until one fails.

mod hunt;
mod script;
mod workflow;

use std::ops::Range;

pub use hunt::{Fate, Hunt, HuntError, Hunted, Mutant, MutateOptions, Score, hunt};

/// One possible alteration of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    /// The new text.
    pub new: String,
    /// The line in the file, from 1.
    pub line: usize,
    /// The line of the statement that contains it: tests that reach that line may notice. `None` for text that every run of the file
    /// reads.
    pub reached_by: Option<usize>,
    /// The alteration in one sentence, for people.
    pub what: String,
}
