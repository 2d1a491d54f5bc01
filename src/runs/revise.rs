use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{doubt::DoubtAnswer, preflight::Note};
use windlass_engine::{compile::Program, decide::Plan, journal::InstanceId};
use windlass_world::value::{Digest, Value};

/// The differences of a resume from a plain one.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Whether it continues with the current files of the workflow.
    pub takes_files: bool,
    /// Params that change; the others stay. Only valid with new files, as a run keeps its params otherwise.
    pub params: BTreeMap<String, Value>,
    /// Steps that run again from the start, with all steps that depend on them.
    pub redo: Vec<InstanceId>,
    /// The files with which it continues, if the caller has them: the run's files are not on this machine.
    pub sent: Option<SentFiles>,
    /// The answers about calls in doubt.
    pub answers: Vec<(InstanceId, DoubtAnswer)>,
}

/// Files of a workflow from a client.
#[derive(Clone)]
pub struct SentFiles {
    pub program: Arc<Program>,
    /// Whether they may differ from those of the workflows that may be started by name.
    pub may_differ: bool,
}

impl fmt::Debug for SentFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.program.files.keys();
        f.debug_list().entries(files).finish()
    }
}

/// The effect of a resume with changes.
pub struct Revision {
    pub plan: Plan,
    pub files: Vec<FileChange>,
    pub notes: Vec<Note>,
    /// The digest of the current run, the files, the params and the plan: a confirmation is bound to it.
    pub digest: Digest,
}

/// A file that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    pub path: String,
    /// `None` if there was no such file.
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
