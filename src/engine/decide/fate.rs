use strum::VariantArray;

use windlass_compile::Workflow;
use windlass_journal::{Event, InstanceId, State};

/// What happens to one instance in a resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    pub step: InstanceId,
    pub kind: FateKind,
    pub reason: String,
    /// Its calls with effects outside that will be made again.
    pub repeats: Vec<String>,
}

/// What happens to an instance; a later one says more about what depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum FateKind {
    /// It stays as it is, with its effects and outputs.
    Kept,
    /// It had not ended; its recorded calls are replayed, and it continues after them.
    GoesOn,
    /// It has not run.
    New,
    /// Its condition is false now, or all steps before it are skipped: it has no outputs any more, and an undo can still reverse its effects.
    Skipped,
    /// It runs again, and its recorded calls are replayed as long as it makes the same calls.
    Replayed,
    /// A `fresh` step runs another time, and makes its reads again instead of replaying them.
    LooksAgain,
    /// It runs again from the start; an undo can still reverse its earlier effects.
    Again,
    /// It is no longer in the workflow; an undo can still reverse its effects.
    Removed,
}

impl FateKind {
    pub const ALL: &[Self] = Self::VARIANTS;
}

/// The plan of a resume.
#[derive(Debug, Default)]
pub struct Plan {
    /// The fates, in the order of the workflow.
    pub fates: Vec<Fate>,
    /// Events to append after the run is resumed.
    pub events: Vec<Event>,
}

/// The input of a plan.
pub struct Change<'a> {
    /// The workflow that the run has used so far.
    pub old: &'a Workflow,
    pub new: &'a Workflow,
    /// The state with the program and the params that the run will use.
    pub state: &'a State,
    pub run_id: &'a str,
    /// Steps to run again from the start, with all steps that depend on them.
    pub redo: &'a [InstanceId],
    /// Whether the run continues with other files or params.
    pub is_edited: bool,
}
