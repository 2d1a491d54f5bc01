//! Deletes old runs of a server.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::There;
use crate::{
    error::RunsError,
    prune::{Pruning, Retention},
};
use windlass_ground::Timestamp;
use windlass_journal::{RunId, RunRow};

#[derive(Deserialize)]
struct Answer {
    runs: Vec<Prunable>,
    deleted: Vec<RunId>,
    left: Vec<Left>,
}

#[derive(Deserialize)]
struct Prunable {
    run: RunId,
    workflow: String,
    // Servers of earlier versions do not tell these two.
    #[serde(default)]
    file: String,
    target: String,
    status: String,
    started_at: Timestamp,
    #[serde(default)]
    requester: Option<String>,
    ended_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Left {
    run: RunId,
    why: String,
}

#[derive(Deserialize)]
struct PrunedRuns {
    pruned: Vec<PrunedRun>,
}

#[derive(Deserialize)]
struct PrunedRun {
    run: RunId,
    seen: Option<String>,
}

impl There {
    pub(super) fn prunable_there(&self, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
        let runs = self.ask_to_prune(wanted, true)?.runs.into_iter();
        let runs = runs.map(|run| RunRow {
            id: run.run,
            workflow: run.workflow,
            file: run.file,
            target: run.target,
            started_at: run.started_at,
            requester: run.requester,
            ended_at: run.ended_at,
            outcome: Some(run.status),
            is_owned: false,
        });
        Ok(runs.collect())
    }

    pub(super) fn prune_there(&self, wanted: &Retention) -> Result<Pruning, RunsError> {
        let done = self.ask_to_prune(wanted, false)?;
        Ok(Pruning {
            deleted: done.deleted,
            left: done
                .left
                .into_iter()
                .map(|left| (left.run, left.why))
                .collect(),
            free: 0,
        })
    }

    /// The inventory's data of deleted runs. A server of an older version deletes no runs.
    pub(super) fn seen_of_pruned(&self) -> Result<Vec<(RunId, String)>, RunsError> {
        let pruned: PrunedRuns = match self.get("/api/v1/pruned", &[]) {
            Err(error) if error.code == "not-found" => return Ok(Vec::new()),
            pruned => pruned?,
        };
        let pruned = pruned.pruned.into_iter();
        Ok(pruned
            .filter_map(|one| Some((one.run, one.seen?)))
            .collect())
    }

    fn ask_to_prune(&self, wanted: &Retention, is_dry: bool) -> Result<Answer, RunsError> {
        let body: Json = json!({
            "keep": format!("{}ms", wanted.keep.as_millis()),
            "keep_last": wanted.keep_last,
            "workflow": wanted.workflow,
            "failed": wanted.failed,
            "dry_run": is_dry,
            "at": wanted.at,
        });
        let path = "/api/v1/prune";
        if is_dry {
            return self.ask(path, &body);
        }
        self.threads.block_on(self.client.change(path, &body, None))
    }
}
