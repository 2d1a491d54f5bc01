//! Requests of the command line to Restate itself, over its admin API.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

use super::{
    pruned::PrunedRun,
    remote::{Remote, RemoteError},
    stuck::Stuck,
    wire::Holder,
};
use windlass_ground::Timestamp;
use windlass_journal::{RunId, RunRow};
use windlass_world::outside::{backoff, jitter};

/// How long a query is sent again after Restate refused it: longer than another node needs to take over from a dead one.
const TAKEOVER: Duration = Duration::from_secs(20);
/// The pauses before it is sent again.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(2);

/// When the run of a row ended, in milliseconds; `null`, which sorts after every number, if it has not ended.
const ENDED: &str = "split_part(split_part(value_utf8, '\"ended_at\":', 2), ',', 1)";

/// The part of a list that a request asks for.
#[derive(Clone, Debug, Default)]
pub struct ListedPart {
    /// Only runs that started before this one.
    pub before: Option<RunId>,
    /// The largest number of runs; no limit if it is left out.
    pub most: Option<usize>,
    /// Only runs that have not ended, or ended at this time or later.
    pub since: Option<Timestamp>,
    /// Only this run.
    pub only: Option<RunId>,
}

/// The state of an object under one key.
#[derive(Deserialize)]
struct Stored {
    value_utf8: String,
}

#[derive(Deserialize)]
struct Rows<T> {
    rows: Vec<T>,
}

impl Remote {
    /// Registers a worker with Restate: `worker` is the address that Restate connects to. Returns whether it was registered before; then
    /// Restate keeps the options of that time.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn register(&self, worker: &str, is_forced: bool) -> Result<bool, RemoteError> {
        let url = format!("{}/deployments", self.address.admin);
        let known: Json = self.answer(self.client.get(&url), &url).unwrap_or_default();
        let mut known = known["deployments"].as_array().into_iter().flatten();
        let is_it = |known: &Json| {
            let at = known["uri"].as_str().unwrap_or_default();
            at.trim_end_matches('/') == worker.trim_end_matches('/')
        };
        let was_known = known.any(is_it) && !is_forced;
        let body = json!({ "uri": worker, "force": is_forced });
        match self.tell::<Json>("deployments", &body) {
            Err(RemoteError::Refused { status: 404, .. }) => {
                Err(RemoteError::NoAdmin(self.address.admin.clone()))
            }
            other => other.map(|_| was_known),
        }
    }

    /// Returns what workers have failed to do of a run so far: its driver, and attempts of its steps.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn stuck(&self, run: &RunId) -> Result<Vec<Stuck>, RemoteError> {
        let mut rows: Vec<Json> = self.query(&format!(
            "SELECT id, status, last_failure FROM sys_invocation \
             WHERE status IN ('paused', 'backing-off') AND {}",
            of_run(run)
        ))?;
        for row in rows.iter_mut().filter(|row| row["status"] == "paused") {
            let id = row["id"].as_str().unwrap_or_default();
            let last: Vec<Json> = self.query(&format!(
                "SELECT event_json FROM sys_journal_events WHERE id = '{id}' \
                 ORDER BY appended_at DESC LIMIT 1"
            ))?;
            if let Some(last) = last.first() {
                row["event_json"] = last["event_json"].clone();
            }
        }
        Ok(Stuck::all(&rows))
    }

    /// Resumes every paused invocation of a run; returns how many there were.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn resume_paused(&self, run: &RunId) -> Result<usize, RemoteError> {
        self.resume_all(&of_run(run))
    }

    /// Resumes the driver of a run, if it is paused: it reads no messages then.
    ///
    /// # Errors
    /// An error of Restate.
    pub(super) fn wake(&self, run: &RunId) -> Result<(), RemoteError> {
        let of_driver =
            format!("target_service_name = 'WindlassRun' AND target_service_key = '{run}'");
        self.resume_all(&of_driver).map(drop)
    }

    fn resume_all(&self, which: &str) -> Result<usize, RemoteError> {
        let rows: Vec<Json> = self.query(&format!(
            "SELECT id FROM sys_invocation WHERE status = 'paused' AND {which}"
        ))?;
        for row in &rows {
            let id = row["id"].as_str().unwrap_or_default();
            let url = format!("{}/invocations/{id}/resume", self.address.admin);
            let _: Json = self.answer(self.client.patch(&url), &url)?;
        }
        Ok(rows.len())
    }

    /// Says whether an order to a run has been sent and not carried out.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn is_sent(&self, run: &RunId) -> Result<bool, RemoteError> {
        Ok(!self.sent(run)?.is_empty())
    }

    /// Says whether a worker has taken up a run: then the run has events. Asks no worker.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn has_begun(&self, run: &RunId) -> Result<bool, RemoteError> {
        let rows: Vec<Json> = self.query(&format!(
            "SELECT key FROM state WHERE service_name = 'WindlassRun' AND service_key = '{run}' LIMIT 1"
        ))?;
        Ok(!rows.is_empty())
    }

    /// Takes back the orders to a run that have not been carried out.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn withdraw(&self, run: &RunId) -> Result<(), RemoteError> {
        let sent = self.sent(run)?;
        sent.iter().try_for_each(|invocation| self.kill(invocation))
    }

    fn sent(&self, run: &RunId) -> Result<Vec<String>, RemoteError> {
        let rows: Vec<Json> = self.query(&format!(
            "SELECT id FROM sys_invocation WHERE status <> 'completed' AND target_service_name = 'WindlassRun' \
             AND target_service_key = '{run}' AND target_handler_name = 'drive'"
        ))?;
        let ids = rows.iter().filter_map(|row| row["id"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    /// Ends an invocation at once, without its code.
    fn kill(&self, invocation: &str) -> Result<(), RemoteError> {
        let url = format!("{}/invocations/{invocation}/kill", self.address.admin);
        self.exchange(self.client.patch(&url), &url).map(drop)
    }

    /// Lists the runs, newest first.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn runs(&self) -> Result<Vec<RunRow>, RemoteError> {
        self.some_runs(&ListedPart::default())
    }

    /// Lists some of the runs, newest first. Restate reads its state itself: a handler that returned so many rows would store them in its
    /// journal first.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn some_runs(&self, part: &ListedPart) -> Result<Vec<RunRow>, RemoteError> {
        let mut wanted = String::new();
        if let Some(before) = &part.before {
            wanted.push_str(&format!(" AND key < '{}'", quoted(before.as_str())));
        }
        if let Some(since) = part.since {
            // As texts, numbers of as many digits sort as numbers do.
            wanted.push_str(&format!(" AND {ENDED} >= '{:013}'", since.as_millis()));
        }
        if let Some(run) = &part.only {
            wanted.push_str(&format!(" AND key = '{}'", quoted(run.as_str())));
        }
        let most = part.most.map(|most| format!(" LIMIT {most}"));
        let most = most.unwrap_or_default();
        self.stored("WindlassRuns", &wanted, &format!("key DESC{most}"))
    }

    /// Returns the row of a run, if it is listed.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn row(&self, run: &RunId) -> Result<Option<RunRow>, RemoteError> {
        let part = ListedPart {
            only: Some(run.clone()),
            ..ListedPart::default()
        };
        Ok(self.some_runs(&part)?.pop())
    }

    /// Counts the runs.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn count_runs(&self) -> Result<u64, RemoteError> {
        let rows: Vec<Json> = self.query(
            "SELECT count(*) AS n FROM state WHERE service_name = 'WindlassRuns' AND service_key = 'all'",
        )?;
        Ok(rows.first().and_then(|row| row["n"].as_u64()).unwrap_or(0))
    }

    /// Lists the remains of deleted runs, oldest run first.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn pruned(&self) -> Result<Vec<PrunedRun>, RemoteError> {
        self.stored("WindlassPruned", "", "key")
    }

    /// Reads what the object `all` of a service stores.
    fn stored<T: DeserializeOwned>(
        &self,
        service: &str,
        wanted: &str,
        order: &str,
    ) -> Result<Vec<T>, RemoteError> {
        let query = format!(
            "SELECT value_utf8 FROM state WHERE service_name = '{service}' AND service_key = 'all'{wanted} ORDER BY {order}"
        );
        let found: Vec<Stored> = self.query(&query)?;
        let rows = found.iter().map(|row| {
            serde_json::from_str(&row.value_utf8).map_err(|e| RemoteError::Refused {
                status: 200,
                body: format!("an object of {service} that can't be read: {e}"),
            })
        });
        rows.collect()
    }

    /// Lists the locks that runs hold, each with its run.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn locks(&self) -> Result<Vec<(String, RunId)>, RemoteError> {
        let rows: Vec<Json> = self.query(
            "SELECT service_key, value_utf8 FROM state \
             WHERE service_name = 'WindlassLock' AND key = 'holder' ORDER BY service_key",
        )?;
        let held = rows.iter().filter_map(|row| {
            let holder: Holder = serde_json::from_str(row["value_utf8"].as_str()?).ok()?;
            Some((row["service_key"].as_str()?.to_owned(), holder.run))
        });
        Ok(held.collect())
    }

    /// Returns the rows that a query finds. While another node takes over what a dead one had, Restate refuses queries, which only read:
    /// they are sent again for a while.
    fn query<T: DeserializeOwned>(&self, query: &str) -> Result<Vec<T>, RemoteError> {
        let (since, mut refusals) = (Instant::now(), 0);
        loop {
            match self.tell::<Rows<T>>("query", &json!({ "query": query })) {
                Err(RemoteError::Refused { status: 500.., .. }) if since.elapsed() < TAKEOVER => {
                    refusals += 1;
                    std::thread::sleep(backoff(PAUSES, refusals, jitter()));
                }
                found => return Ok(found?.rows),
            }
        }
    }

    fn tell<T: DeserializeOwned>(&self, path: &str, body: &Json) -> Result<T, RemoteError> {
        let url = format!("{}/{path}", self.address.admin);
        let request = self.client.post(&url).header("accept", "application/json");
        let request = request.header("content-type", "application/json");
        self.answer(request.body(body.to_string()), &url)
    }
}

/// Returns a text as it is written between quotes in a query.
fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// Returns the condition for invocations that are the driver of a run, or were called by it.
fn of_run(run: &RunId) -> String {
    format!(
        "(target_service_key = '{run}' \
         OR invoked_by_id IN (SELECT id FROM sys_invocation WHERE target_service_key = '{run}'))"
    )
}
