//! Resumes a server's run with changes, and settles calls in doubt.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{There, params::sendable, plan::file_texts};
use crate::{
    doubt::{DoubtAnswer, DoubtAnswers},
    error::RunsError,
    preflight::Note,
    revise::{Changes, FileChange, Revision},
};
use windlass_engine::decide::{Fate, Plan};
use windlass_journal::{InstanceId, RunId};
use windlass_report as report;
use windlass_world::value::Digest;

#[derive(Deserialize)]
struct RevisionAnswer {
    plan: Vec<FateItem>,
    files: Vec<String>,
    // An older server says none.
    #[serde(default)]
    notes: Vec<String>,
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
    /// Requests the effect of a resume with changes. The texts of files stay on the server.
    pub(super) fn revision_of(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        let path = format!("/api/v1/runs/{id}/revision");
        let body = self.changes(changes, None)?;
        let asked = self.client.ask(&path, &body);
        let answer: RevisionAnswer = self.threads.block_on(asked)?;
        let fates = answer.plan.into_iter().map(FateItem::fate);
        let fates = fates.collect::<Option<Vec<_>>>().ok_or_else(|| {
            let message = "this version of windlass does not understand the plan of this resume";
            RunsError::broken("server", message)
                .hint("use the same version of windlass as the server")
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
            notes: answer.notes.into_iter().map(Note::Said).collect(),
            digest: answer.digest,
        })
    }

    pub(super) fn resume_revised(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
    ) -> Result<(), RunsError> {
        let body = self.changes(changes, shown)?;
        self.post(&format!("/api/v1/runs/{id}/revise"), &body)
    }

    pub(super) fn resume_answered(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        shown: Option<u64>,
    ) -> Result<(), RunsError> {
        // Older servers only know a single answer, and no `events`.
        if let ([(step, answer)], None) = (answers, shown) {
            let body = self.answer_body(step, answer)?;
            return self.post(&format!("/api/v1/runs/{id}/doubt"), &body);
        }
        let mut body = json!({ "answers": self.answers(answers)? });
        if let Some(shown) = shown {
            body["events"] = shown.into();
        }
        self.post(&format!("/api/v1/runs/{id}/doubts"), &body)
    }

    /// Returns answers in the format of the API.
    pub(super) fn answers(&self, answers: &DoubtAnswers) -> Result<Vec<Json>, RunsError> {
        let answers = answers.iter();
        answers
            .map(|(step, answer)| self.answer_body(step, answer))
            .collect()
    }

    fn answer_body(&self, step: &InstanceId, answer: &DoubtAnswer) -> Result<Json, RunsError> {
        Ok(match answer {
            DoubtAnswer::Done(value) => {
                let value = [("value".to_owned(), value.clone())].into();
                let sent = self.threads.block_on(sendable(&value))?;
                json!({ "step": step, "done": true, "value": sent["value"] })
            }
            DoubtAnswer::Again => json!({ "step": step, "done": false }),
            DoubtAnswer::Leave => json!({ "step": step, "done": false, "leave": true }),
        })
    }

    fn changes(&self, changes: &Changes, shown: Option<Digest>) -> Result<Json, RunsError> {
        let params = self.threads.block_on(sendable(&changes.params))?;
        let mut body = json!({
            "takes_files": changes.takes_files,
            "params": params,
            "redo": changes.redo,
            "digest": shown,
        });
        // Servers of another version need not know what is not used.
        if let Some(sent) = &changes.sent {
            body["files"] = file_texts(&sent.program);
            body["main"] = sent.program.main.clone().into();
        }
        if !changes.answers.is_empty() {
            body["answers"] = self.answers(&changes.answers)?.into();
        }
        Ok(body)
    }
}

impl FateItem {
    /// Returns `None` for a fate that this version does not know.
    fn fate(self) -> Option<Fate> {
        Some(Fate {
            kind: report::fate_named(&self.fate)?,
            step: self.step,
            reason: self.reason,
            repeats: self.repeats,
        })
    }
}
