use crate::{
    compile::Workflow,
    journal::{Event, InstanceId, State},
};

/// What happens to one execution of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    pub step: InstanceId,
    pub kind: FateKind,
    pub reason: String,
    /// The calls with an effect outside that will be made another time.
    pub repeats: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FateKind {
    /// What it did and gave stays.
    Kept,
    /// It had not ended; its recorded calls are replayed, and it continues from there.
    GoesOn,
    /// It runs another time, and what it did is replayed as long as it makes the same calls.
    Replayed,
    /// A `fresh` step runs another time, and makes its reads again instead of replaying them.
    LooksAgain,
    /// It runs another time from the start; what it did before is left to an undo.
    Again,
    /// It has not run.
    New,
    /// It is no longer in the workflow; what it did is left to an undo.
    Removed,
}

/// A resume, thought through.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of the workflow.
    pub fates: Vec<Fate>,
    /// To be appended after the run was resumed.
    pub events: Vec<Event>,
}

/// What a plan is made from.
pub struct Change<'a> {
    /// What the run went by so far.
    pub old: &'a Workflow,
    pub new: &'a Workflow,
    /// With the program and the params that it will use.
    pub state: &'a State,
    pub run_id: &'a str,
    /// Steps that are to run again from the start, with all that depends on them.
    pub redo: &'a [InstanceId],
}
