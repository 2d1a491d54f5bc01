//! Requests of the command line to Restate itself, over its admin API.

use serde_json::{Value as Json, json};

use super::{
    remote::{Remote, RemoteError},
    stuck::Stuck,
    wire::Holder,
};
use windlass_engine::journal::RunId;

impl Remote {
    /// Registers a worker with Restate: `worker` is the address that Restate connects to.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn register(&self, worker: &str, is_forced: bool) -> Result<(), RemoteError> {
        let body = json!({ "uri": worker, "force": is_forced });
        match self.tell::<Json>("deployments", &body) {
            Err(RemoteError::Refused { status: 404, .. }) => {
                Err(RemoteError::NoAdmin(self.address.admin.clone()))
            }
            other => other.map(|_| ()),
        }
    }

    /// Returns what workers have failed to do of a run so far: its driver, and attempts of its steps.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn stuck(&self, run: &RunId) -> Result<Vec<Stuck>, RemoteError> {
        let mut rows = self.query(&format!(
            "SELECT id, status, last_failure FROM sys_invocation \
             WHERE status IN ('paused', 'backing-off', 'running') AND {}",
            of_run(run)
        ))?;
        for row in rows.iter_mut().filter(|row| row["status"] == "paused") {
            let id = row["id"].as_str().unwrap_or_default();
            let last = self.query(&format!(
                "SELECT event_json FROM sys_journal_events WHERE id = '{id}' \
                 ORDER BY appended_at DESC LIMIT 1"
            ))?;
            if let Some(last) = last.first() {
                row["event_json"] = last["event_json"].clone();
            }
        }
        Ok(rows.iter().filter_map(Stuck::read).collect())
    }

    /// Resumes every paused invocation of a run; returns how many there were.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn resume_paused(&self, run: &RunId) -> Result<usize, RemoteError> {
        let rows = self.query(&format!(
            "SELECT id FROM sys_invocation WHERE status = 'paused' AND {}",
            of_run(run)
        ))?;
        for row in &rows {
            let id = row["id"].as_str().unwrap_or_default();
            let url = format!("{}/invocations/{id}/resume", self.address.admin);
            let _: Json = self.answer(self.client.patch(&url), &url)?;
        }
        Ok(rows.len())
    }

    /// Lists the locks that runs hold, each with its run.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn locks(&self) -> Result<Vec<(String, RunId)>, RemoteError> {
        let rows = self.query(
            "SELECT service_key, value_utf8 FROM state \
             WHERE service_name = 'WindlassLock' AND key = 'holder' ORDER BY service_key",
        )?;
        let held = rows.iter().filter_map(|row| {
            let holder: Holder = serde_json::from_str(row["value_utf8"].as_str()?).ok()?;
            Some((row["service_key"].as_str()?.to_owned(), holder.run))
        });
        Ok(held.collect())
    }

    fn query(&self, query: &str) -> Result<Vec<Json>, RemoteError> {
        let found: Json = self.tell("query", &json!({ "query": query }))?;
        Ok(found["rows"].as_array().cloned().unwrap_or_default())
    }

    fn tell<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &Json,
    ) -> Result<T, RemoteError> {
        let url = format!("{}/{path}", self.address.admin);
        let request = self.client.post(&url).header("accept", "application/json");
        let request = request.header("content-type", "application/json");
        self.answer(request.body(body.to_string()), &url)
    }
}

/// Returns the condition for invocations that are the driver of a run, or were called by it.
fn of_run(run: &RunId) -> String {
    format!(
        "(target_service_key = '{run}' \
         OR invoked_by_id IN (SELECT id FROM sys_invocation WHERE target_service_key = '{run}'))"
    )
}
