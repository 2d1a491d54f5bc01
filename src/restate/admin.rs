//! What the command line asks of the engine itself, over its admin API.

use serde_json::{Value as Json, json};

use super::{
    remote::{Remote, RemoteError},
    stuck::Stuck,
    wire::Holder,
};
use windlass_engine::journal::RunId;

impl Remote {
    /// Registers a worker with the engine: `worker` is the address that the engine dials.
    ///
    /// # Errors
    /// What the engine says.
    pub fn register(&self, worker: &str, is_forced: bool) -> Result<(), RemoteError> {
        let body = json!({ "uri": worker, "force": is_forced });
        match self.tell::<Json>("deployments", &body) {
            Err(RemoteError::Refused { status: 404, .. }) => {
                Err(RemoteError::NoAdmin(self.address.admin.clone()))
            }
            other => other.map(|_| ()),
        }
    }

    /// What workers could not do of a run so far: its driver's part, and attempts of its steps.
    ///
    /// # Errors
    /// What the engine says.
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

    /// Resumes every invocation of a run that Restate has paused; returns how many there were.
    ///
    /// # Errors
    /// What the engine says.
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
    /// What the engine says.
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

/// Whether a row of the engine's invocations is the driver of a run, or what that called.
fn of_run(run: &RunId) -> String {
    format!(
        "(target_service_key = '{run}' \
         OR invoked_by_id IN (SELECT id FROM sys_invocation WHERE target_service_key = '{run}'))"
    )
}
