use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{doubt::DoubtAnswer, preflight::Note};
use windlass_engine::{compile::Program, decide::Plan, journal::InstanceId};
use windlass_world::value::{Digest, Value};

/// What a run is to be resumed with, where that is not what it had.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Whether it continues with the workflow's files as they are now.
    pub takes_files: bool,
    /// Params that change; the others stay. Only with new files, as a run keeps its params otherwise.
    pub params: BTreeMap<String, Value>,
    /// Steps that run again from the start, with all that depends on them.
    pub redo: Vec<InstanceId>,
    /// The files that it continues with, where the caller has them: those of the run are not on this machine.
    pub sent: Option<SentFiles>,
    /// What became of calls in doubt.
    pub answers: Vec<(InstanceId, DoubtAnswer)>,
}

/// Files of a workflow that a client sends.
#[derive(Clone)]
pub struct SentFiles {
    pub program: Arc<Program>,
    /// Whether they may be other ones than those that may be started by name.
    pub may_differ: bool,
}

impl fmt::Debug for SentFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.program.files.keys();
        f.debug_list().entries(files).finish()
    }
}

/// What a resume with changes does.
pub struct Revision {
    pub plan: Plan,
    pub files: Vec<FileChange>,
    pub notes: Vec<Note>,
    /// Of the run as it is, the files, the params and the plan: what a confirmation is bound to.
    pub digest: Digest,
}

/// A file that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    pub path: String,
    /// `None` where there was none.
    pub before: Option<Arc<str>>,
    pub after: Option<Arc<str>>,
}

/// Lists the files that differ between two programs, by path.
pub fn file_changes(before: &Program, after: &Program) -> Vec<FileChange> {
    let mut paths: Vec<_> = before.files.keys().chain(after.files.keys()).collect();
    paths.sort();
    paths.dedup();
    let changes = paths.into_iter().map(|path| FileChange {
        path: path.clone(),
        before: before.files.get(path).cloned(),
        after: after.files.get(path).cloned(),
    });
    changes
        .filter(|change| change.before != change.after)
        .collect()
}
