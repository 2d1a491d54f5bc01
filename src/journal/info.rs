use std::collections::BTreeSet;

use super::payload::{RunEdited, RunStarted};
use windlass_ground::Timestamp;
use windlass_world::value::{Digest, Value};

/// The start of a run.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub workflow: String,
    pub file: String,
    /// The folder that `file` is relative to; empty if that was not recorded.
    pub folder: String,
    pub main: String,
    pub program: Digest,
    /// The edition of the frozen files that the run uses now.
    pub edition: u32,
    /// The editions that it used before, oldest first.
    pub former: Vec<FormerEdition>,
    pub target: String,
    /// The Kubernetes clusters that it uses, by their roles in the target.
    pub kube: BTreeSet<String>,
    /// The steps to which it is limited; empty for all.
    pub chosen: BTreeSet<String>,
    pub out: String,
    pub params: Value,
    /// A keyed digest of the secrets among the params.
    pub secrets: Option<Digest>,
    pub requester: String,
    pub started_at: Timestamp,
    /// Whether outputs that are missing are errors. Runs of earlier versions read them as nothing.
    pub is_strict: bool,
}

/// An edition of the frozen files that a run has used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerEdition {
    pub edition: u32,
    /// The path of the workflow's file.
    pub main: String,
    pub program: Digest,
}

impl RunInfo {
    /// Returns the digest of everything with which the run continues: its files, and the former ones, whose `fn undo` it may need.
    pub fn digest(&self) -> Digest {
        let former = self.former.iter().map(|former| &former.program);
        let all = former.chain([&self.program]);
        let parts: Vec<&[u8]> = all.map(|program| program.as_bytes().as_slice()).collect();
        Digest::of(&parts)
    }

    pub(super) fn of(started: &RunStarted, at: Timestamp) -> Self {
        Self {
            workflow: started.workflow.clone(),
            file: started.file.clone(),
            folder: started.folder.clone(),
            main: started.main.clone(),
            program: started.program,
            edition: 0,
            former: Vec::new(),
            target: started.target.clone(),
            kube: started.kube.clone(),
            chosen: started.chosen.clone(),
            out: started.out.clone(),
            params: started.params.clone(),
            secrets: started.secrets,
            requester: started.requester.clone(),
            started_at: at,
            is_strict: started.is_strict,
        }
    }

    /// Applies an edit: what it starts to use, and with which params.
    pub fn edit(&mut self, edited: &RunEdited) {
        self.former.push(FormerEdition {
            edition: self.edition,
            main: std::mem::take(&mut self.main),
            program: self.program,
        });
        self.program = edited.program;
        self.main.clone_from(&edited.main);
        self.edition = edited.edition;
        self.kube.clone_from(&edited.kube);
        self.params = edited.params.clone();
        self.secrets = edited.secrets;
        self.is_strict = edited.is_strict;
    }
}
