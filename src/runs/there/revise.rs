//! Resuming a server's run with changes, and settling a call in doubt.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{There, params::sendable};
use crate::{
    doubt::DoubtAnswer,
    error::RunsError,
    revise::{Changes, FileChange, Revision},
};
use windlass_engine::{
    decide::{Fate, Plan},
    journal::{InstanceId, RunId},
};
use windlass_report as report;
use windlass_world::value::Digest;

#[derive(Deserialize)]
struct RevisionAnswer {
    plan: Vec<FateItem>,
    files: Vec<String>,
    digest: Digest,
}

#[derive(Deserialize)]
struct FateItem {
    step: InstanceId,
    fate: String,
    reason: String,
    repeats: Vec<String>,
}

impl There {
    /// Asks what a resume with changes does. The texts of files stay on the server, as does what it noted.
    pub(super) fn revision_of(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        let path = format!("/api/v1/runs/{id}/revision");
        let body = self.changes(changes, None)?;
        let asked = self.client.post(&path, &body, None);
        let answer: RevisionAnswer = self.threads.block_on(asked)?;
        let fates = answer.plan.into_iter().map(FateItem::fate);
        let fates = fates.collect::<Option<Vec<_>>>().ok_or_else(|| {
            let message = "the plan of this resume holds what this version does not know";
            RunsError::broken("server", message)
                .hint("use the version of windlass that the server has")
        })?;
        let files = answer.files.into_iter().map(|path| FileChange {
            path,
            before: None,
            after: None,
        });
        Ok(Revision {
            plan: Plan {
                fates,
                events: Vec::new(),
            },
            files: files.collect(),
            notes: Vec::new(),
            digest: answer.digest,
        })
    }

    pub(super) fn revise(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
    ) -> Result<(), RunsError> {
        let body = self.changes(changes, shown)?;
        self.post(&format!("/api/v1/runs/{id}/revise"), &body)
    }

    pub(super) fn settle(
        &self,
        id: &RunId,
        step: &InstanceId,
        answer: &DoubtAnswer,
    ) -> Result<(), RunsError> {
        let body = match answer {
            DoubtAnswer::Done(value) => {
                let value = [("value".to_owned(), value.clone())].into();
                let sent = self.threads.block_on(sendable(&value))?;
                json!({ "step": step, "done": true, "value": sent["value"] })
            }
            DoubtAnswer::Again => json!({ "step": step, "done": false }),
        };
        self.post(&format!("/api/v1/runs/{id}/doubt"), &body)
    }

    fn changes(&self, changes: &Changes, shown: Option<Digest>) -> Result<Json, RunsError> {
        let params = self.threads.block_on(sendable(&changes.params))?;
        Ok(json!({
            "takes_files": changes.takes_files,
            "params": params,
            "redo": changes.redo,
            "digest": shown,
        }))
    }
}

impl FateItem {
    /// `None` for a fate that this version does not know.
    fn fate(self) -> Option<Fate> {
        Some(Fate {
            kind: report::fate_named(&self.fate)?,
            step: self.step,
            reason: self.reason,
            repeats: self.repeats,
        })
    }
}
