//! Requests of the command line to Restate itself, over its admin API.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

use super::{
    book::page,
    error::RemoteError,
    pruned::PrunedRun,
    remote::Remote,
    stuck::{Stuck, StuckPart},
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

/// The condition that leaves out questions of commands and servers: their senders wait for the answers, and nothing of a run depends on
/// them.
const NO_QUESTION: &str = "NOT (target_service_name = 'WindlassRun' AND target_handler_name <> 'drive') \
     AND target_handler_name NOT IN ('identity', 'last')";

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

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Whether Restate had the worker before; then it keeps the options of that time.
    pub was_known: bool,
    /// The address of the deployment that new runs go to, if it is not this worker's: that one was registered later.
    pub newer: Option<String>,
}

/// An invocation that workers have failed to finish so far.
struct HeldUp {
    row: Json,
    stuck: Stuck,
    since: String,
}

impl HeldUp {
    /// Returns the invocation of the driver that called it, if it is an attempt of a step.
    fn caller(&self) -> Option<&str> {
        let is_attempt = self.row["target_service_name"] == "WindlassStep";
        self.row["invoked_by_id"].as_str().filter(|_| is_attempt)
    }
}

/// How many invocations of a run continue because a person asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hastened {
    /// How many were paused.
    pub paused: usize,
    /// How many Restate would have tried again later.
    pub retried: usize,
}

#[derive(Deserialize)]
struct Rows<T> {
    rows: Vec<T>,
}

impl Remote {
    /// Registers a worker with Restate: `worker` is the address that Restate connects to.
    ///
    /// # Errors
    /// An error of Restate, or why it can't use the worker.
    pub fn register(&self, worker: &str, is_forced: bool) -> Result<Registered, RemoteError> {
        let url = format!("{}/deployments", self.address.admin);
        let body = json!({ "uri": worker, "force": is_forced });
        let request = self.client.post(&url).header("accept", "application/json");
        let request = request.header("content-type", "application/json");
        let (status, answer) = match self.exchange(request.body(body.to_string()), &url) {
            Err(RemoteError::Refused { status: 404, .. }) => {
                return Err(RemoteError::NoAdmin(self.address.admin.clone()));
            }
            Err(RemoteError::Refused { status, body }) => {
                return Err(unusable(worker, status, &body));
            }
            answer => answer?,
        };
        // Without `force`, Restate changes nothing of a deployment that it has. Otherwise, this one is the newest now.
        let was_known = status == 200 && !is_forced;
        let answer: Json = serde_json::from_slice(&answer).unwrap_or_default();
        let newer = match answer["id"].as_str().filter(|_| was_known) {
            Some(id) => self.newest_deployment(id)?,
            None => None,
        };
        Ok(Registered { was_known, newer })
    }

    /// Returns the address of the deployment that new runs go to, unless it is this one.
    fn newest_deployment(&self, id: &str) -> Result<Option<String>, RemoteError> {
        let rows: Vec<Json> = self.query(
            "SELECT d.id, d.endpoint FROM sys_service s JOIN sys_deployment d ON d.id = s.deployment_id \
             WHERE s.name = 'WindlassRun'",
        )?;
        let other = rows.first().filter(|row| row["id"] != id);
        let endpoint = other.and_then(|row| row["endpoint"].as_str());
        Ok(endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()))
    }

    /// Returns what workers have failed to do of a run so far: its driver, and attempts of its steps.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn stuck(&self, run: &RunId) -> Result<Vec<Stuck>, RemoteError> {
        let found = self.held_up(&of_run(run))?;
        Ok(found.into_iter().map(|held| held.stuck).collect())
    }

    /// Returns what workers have failed to do so far of any run.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn all_stuck(&self) -> Result<Vec<StuckPart>, RemoteError> {
        let found = self.held_up("target_service_name IN ('WindlassRun', 'WindlassStep')")?;
        let callers: BTreeSet<_> = found.iter().filter_map(HeldUp::caller).collect();
        let mut runs: BTreeMap<String, RunId> = BTreeMap::new();
        if !callers.is_empty() {
            let rows: Vec<Json> = self.query(&format!(
                "SELECT id, target_service_key FROM sys_invocation WHERE id IN ({})",
                listed(callers)
            ))?;
            for row in rows {
                if let Some((id, run)) = row["id"].as_str().zip(run_of(&row)) {
                    runs.insert(id.to_owned(), run);
                }
            }
        }
        let parts = found.into_iter().filter_map(|held| {
            let run = match held.caller() {
                Some(caller) => runs.get(caller).cloned(),
                None => run_of(&held.row),
            };
            Some(StuckPart {
                run: run?,
                stuck: held.stuck,
                since: held.since,
            })
        });
        Ok(parts.collect())
    }

    /// Returns the invocations that workers have failed to finish so far. Questions of commands and servers are left out.
    fn held_up(&self, which: &str) -> Result<Vec<HeldUp>, RemoteError> {
        let mut rows: Vec<Json> = self.query(&format!(
            "SELECT id, status, last_failure, target_service_name, target_service_key, invoked_by_id \
             FROM sys_invocation WHERE status IN ('paused', 'backing-off') AND {NO_QUESTION} AND {which}"
        ))?;
        let paused = rows.iter().filter(|row| row["status"] == "paused");
        let paused: Vec<_> = paused.filter_map(|row| row["id"].as_str()).collect();
        if !paused.is_empty() {
            let events: Vec<Json> = self.query(&format!(
                "SELECT id, event_json, appended_at FROM sys_journal_events WHERE id IN ({}) \
                 ORDER BY appended_at",
                listed(paused)
            ))?;
            // The last event of each says why it was paused.
            let events: BTreeMap<String, Json> = events
                .into_iter()
                .filter_map(|event| Some((event["id"].as_str()?.to_owned(), event)))
                .collect();
            for row in &mut rows {
                let event = row["id"].as_str().and_then(|id| events.get(id));
                if let Some(event) = event.filter(|_| row["status"] == "paused") {
                    row["event_json"] = event["event_json"].clone();
                    row["appended_at"] = event["appended_at"].clone();
                }
            }
        }
        let found = rows.into_iter().filter_map(|row| {
            let stuck = Stuck::read(&row)?;
            let since = row["appended_at"].as_str().unwrap_or_default().to_owned();
            Some(HeldUp { row, stuck, since })
        });
        Ok(found.collect())
    }

    /// Resumes every paused invocation of a run; returns how many there were.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn resume_paused(&self, run: &RunId) -> Result<usize, RemoteError> {
        self.resume_all(&of_run(run))
    }

    /// Lets Restate try again now what workers have failed to do of a run, also what it has not paused yet.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn hasten(&self, run: &RunId) -> Result<Hastened, RemoteError> {
        let paused = self.resume_paused(run)?;
        let ids = self.ids(&format!(
            "status = 'backing-off' AND {NO_QUESTION} AND {}",
            of_run(run)
        ))?;
        let retried = self.resume_each(&ids)?;
        Ok(Hastened { paused, retried })
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
        let ids = self.ids(&format!("status = 'paused' AND {which}"))?;
        self.resume_each(&ids)
    }

    /// Resumes invocations; returns how many that was needed for.
    fn resume_each(&self, ids: &[String]) -> Result<usize, RemoteError> {
        let mut resumed = 0;
        for id in ids {
            match self.resume_invocation(id) {
                Ok(()) => resumed += 1,
                // It was tried again meanwhile, or has ended.
                Err(RemoteError::Refused {
                    status: 400..=499, ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(resumed)
    }

    fn resume_invocation(&self, id: &str) -> Result<(), RemoteError> {
        let url = format!("{}/invocations/{id}/resume", self.address.admin);
        self.exchange(self.client.patch(&url), &url).map(drop)
    }

    /// Returns the invocations that meet a condition.
    fn ids(&self, which: &str) -> Result<Vec<String>, RemoteError> {
        let rows: Vec<Json> =
            self.query(&format!("SELECT id FROM sys_invocation WHERE {which}"))?;
        let ids = rows.iter().filter_map(|row| row["id"].as_str());
        Ok(ids.map(str::to_owned).collect())
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
        Ok(!self.begun([run.as_str()])?.is_empty())
    }

    /// Lists the runs that were sent and have no events yet: no worker has taken them up, or could begin them. Asks no worker.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn not_begun(&self) -> Result<Vec<RunId>, RemoteError> {
        let rows: Vec<Json> = self.query(
            "SELECT DISTINCT target_service_key FROM sys_invocation WHERE status <> 'completed' \
             AND target_service_name = 'WindlassRun' AND target_handler_name = 'drive'",
        )?;
        let sent: BTreeSet<_> = rows
            .iter()
            .filter_map(run_of)
            .map(|run| run.to_string())
            .collect();
        if sent.is_empty() {
            return Ok(Vec::new());
        }
        let begun = self.begun(sent.iter().map(String::as_str))?;
        let not_begun = sent.iter().filter(|run| !begun.contains(*run));
        Ok(not_begun.filter_map(|run| RunId::parse(run)).collect())
    }

    /// Says for people why a run that was sent has no events yet, with what holds it up, if something does.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn why_not_begun(&self, run: &RunId) -> Result<(String, Option<Stuck>), RemoteError> {
        let stuck = self.stuck(run)?.into_iter().next();
        let why = match &stuck {
            Some(stuck) => format!("run {run} has not begun: {stuck}"),
            None => format!("no worker has taken up run {run} yet"),
        };
        Ok((why, stuck))
    }

    /// Returns which of these runs have events. Files and the driver are stored before the first event.
    fn begun<'a>(
        &self,
        runs: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeSet<String>, RemoteError> {
        let rows: Vec<Json> = self.query(&format!(
            "SELECT service_key FROM state WHERE service_name = 'WindlassRun' AND key = '{}' AND service_key IN ({})",
            page(0),
            listed(runs)
        ))?;
        let begun = rows.iter().filter_map(|row| row["service_key"].as_str());
        Ok(begun.map(str::to_owned).collect())
    }

    /// Takes back the orders to a run that has no events, and deletes what a driver that could not begin has stored of it.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn withdraw(&self, run: &RunId) -> Result<(), RemoteError> {
        let sent = self.sent(run)?;
        sent.iter()
            .try_for_each(|invocation| self.kill(invocation))?;
        if self.has_begun(run)? {
            return Ok(());
        }
        let url = format!("{}/services/WindlassRun/state", self.address.admin);
        let body = json!({ "object_key": run, "new_state": {} });
        let request = self
            .client
            .post(&url)
            .header("content-type", "application/json");
        self.exchange(request.body(body.to_string()), &url)
            .map(drop)
    }

    fn sent(&self, run: &RunId) -> Result<Vec<String>, RemoteError> {
        self.ids(&format!(
            "status <> 'completed' AND target_service_name = 'WindlassRun' \
             AND target_service_key = '{run}' AND target_handler_name = 'drive'"
        ))
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
        let held = self.holders()?.into_iter();
        Ok(held.map(|(lock, holder)| (lock, holder.run)).collect())
    }

    /// Returns the holder of each lock that is held.
    pub(super) fn holders(&self) -> Result<BTreeMap<String, Holder>, RemoteError> {
        let rows: Vec<Json> = self.query(
            "SELECT service_key, value_utf8 FROM state \
             WHERE service_name = 'WindlassLock' AND key = 'holder' ORDER BY service_key",
        )?;
        let held = rows.iter().filter_map(|row| {
            let holder: Holder = serde_json::from_str(row["value_utf8"].as_str()?).ok()?;
            Some((row["service_key"].as_str()?.to_owned(), holder))
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

/// Returns the error for a worker that Restate refuses to register. Its codes: <https://docs.restate.dev/references/errors>.
fn unusable(worker: &str, status: u16, body: &str) -> RemoteError {
    let said: Json = serde_json::from_str(body).unwrap_or_default();
    let mut why = said["message"].as_str().unwrap_or(body);
    let code = said["restate_code"].as_str().unwrap_or_default();
    while let Some(rest) = why
        .strip_prefix(&format!("[{code}] "))
        .filter(|_| !code.is_empty())
    {
        why = rest;
    }
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let hint = match status {
        _ if has(&["is not absolute", "field 'uri' is invalid"]) => {
            Some("--advertise is a URL, as in http://HOST:9080, or https:// with --tls-cert")
        }
        409 => Some(
            "the newest deployment has services of another kind with these names; if this worker is to take their place: --force",
        ),
        _ if has(&["401"]) => Some(
            "--identity-key must be the public key of this server, publickeyv1_…, which its log shows when it starts",
        ),
        _ if has(&["certificate"]) => Some(
            "the server must trust the worker's certificate, and the address must be in it: start the server with SSL_CERT_FILE",
        ),
        _ if has(&["InvalidContentType"]) => {
            Some("the worker serves plain HTTP: use --tls-cert and --tls-key, or advertise http://")
        }
        _ if code == "META0014" => Some(
            "a worker with --tls-cert is advertised as https://; a proxy before it must speak HTTP/2",
        ),
        _ if has(&["got status code"]) => {
            Some("another server answers at this address: --advertise must lead to the worker")
        }
        _ if code == "META0003" => Some(
            "the server itself connects to the worker: --advertise names the address at which the server reaches it, which is not 127.0.0.1 \
             if they run on two machines or in two containers",
        ),
        _ => None,
    };
    RemoteError::Unusable {
        worker: worker.to_owned(),
        why: why.to_owned(),
        hint,
    }
}

/// Returns a text as it is written between quotes in a query.
fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// Returns texts as they are written in a list in a query.
fn listed<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts = texts.into_iter().map(|text| format!("'{}'", quoted(text)));
    texts.collect::<Vec<_>>().join(", ")
}

/// Returns the run that is the key of an invocation's target.
fn run_of(row: &Json) -> Option<RunId> {
    RunId::parse(row["target_service_key"].as_str()?)
}

/// Returns the condition for invocations that are the driver of a run, or were called by it.
fn of_run(run: &RunId) -> String {
    format!(
        "(target_service_key = '{run}' \
         OR invoked_by_id IN (SELECT id FROM sys_invocation WHERE target_service_key = '{run}'))"
    )
}
