use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};
use tokio::{runtime::Runtime, sync::watch};

use super::{
    client::{Address, Client, in_doubt},
    follow::{self, Following},
    params::sendable,
    wire::{
        self, EventsPage, Files, Links, RunDetail, RunsPage, StartedRun, TargetNames, WhoAmI,
        Workflows,
    },
};
use crate::{
    answers::Answers,
    clock::now,
    doubt::DoubtAnswers,
    error::{Kind, RunsError},
    folds::Cursor,
    library::WorkflowName,
    prune::{Pruning, Retention},
    revise::{Changes, Revision},
    service::{
        Filter, Listed, Page, Person, PlanDepth, Planned, Runs, Sent, Shown, StartWanted, Started,
        UndoPlan, Undoing,
    },
    tallies::Tallies,
};
use windlass_compile::{Frozen, Program, compile};
use windlass_engine::execute::{DriveError, compile_editions};
use windlass_inventory::{Gathered, RunStamp, gather};
use windlass_journal::{Link, Record, RunId, RunRow, State, Verdict};
use windlass_mesh::Handshakes;
use windlass_world::{outside::aws, value::Digest};

/// The maximum number of runs, or of events of a run, in one answer of a server.
const ROWS: usize = 200;
const EVENTS: usize = 1000;
/// How often a start is sent to a server that can't be reached.
const TRIES: u32 = 4;
/// How long a start is sent again if an answer was lost: longer than a server takes to restart. Its key makes the repetitions one start.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);

/// The runs of a Windlass server elsewhere. Secrets are masked in everything that it returns; the user is the one to whom the token belongs.
pub struct There {
    pub(super) client: Arc<Client>,
    pub(super) threads: Runtime,
    /// The user's name on the server.
    pub(super) name: String,
    pub(super) changes: OnceLock<watch::Sender<u64>>,
}

impl There {
    /// Connects, and asks the server for the user's name.
    ///
    /// # Errors
    /// A server that can't be reached, is not Windlass, or rejects the caller.
    pub fn open(address: Address) -> Result<Self, RunsError> {
        let client = Arc::new(Client::new(address)?);
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(RunsError::no_threads)?;
        let who: WhoAmI = threads.block_on(client.get("/api/v1/whoami", &[]))?;
        if let Some(version) = who.version {
            // An error means that it is set already.
            let _ = client.version.set(version);
        }
        Ok(Self {
            client,
            threads,
            name: who.name,
            changes: OnceLock::new(),
        })
    }

    /// Returns the address of the server.
    pub fn url(&self) -> &str {
        &self.client.url
    }

    /// Returns the user's name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says that the requests from now on are those of an assistant: the server's journal records it.
    pub fn is_for_assistant(&self) {
        self.client.is_assistant.store(true, Ordering::Relaxed);
    }

    /// Follows a run, starting with event `next`.
    pub fn follow(&self, run: &RunId, next: u64) -> Following {
        Following::begin(
            self.threads.handle(),
            self.client.clone(),
            run.clone(),
            next,
        )
    }

    /// Returns the state of a run, without its files.
    pub fn state_of(&self, id: &RunId) -> Result<State, RunsError> {
        let (mut state, mut illegal) = (State::default(), None);
        self.events(id, &mut Cursor::default(), &mut |record| {
            let applied = state.apply(&record.event, record.at);
            illegal = applied.err().or(illegal.take());
        })?;
        match illegal {
            None => Ok(state),
            Some(error) => Err(DriveError::from(error).into()),
        }
    }

    /// Says whether the run is being driven.
    pub fn is_driven(&self, id: &RunId) -> Result<bool, RunsError> {
        Ok(self.detail(id)?.is_driven)
    }

    /// Returns why a run can't continue, and whether it stays so until a person resumes it; `None` if it can.
    ///
    /// # Errors
    /// A server that can't be reached, or rejects the request.
    pub fn trouble_and_pause(&self, id: &RunId) -> Result<Option<(String, bool)>, RunsError> {
        let detail = self.detail(id)?;
        Ok(detail.trouble.map(|why| (why, detail.is_paused)))
    }

    fn detail(&self, id: &RunId) -> Result<RunDetail, RunsError> {
        self.get(&format!("/api/v1/runs/{id}"), &[])
    }

    /// Sends a GET request for a path.
    ///
    /// # Errors
    /// A server that can't be reached, or rejects the request.
    pub fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, RunsError> {
        self.threads.block_on(self.client.get(path, query))
    }

    /// Sends JSON to a path, if the answer is only a status.
    ///
    /// # Errors
    /// A server that can't be reached, or rejects the request.
    pub fn post(&self, path: &str, body: &Json) -> Result<(), RunsError> {
        let posted: Result<Json, _> = self.threads.block_on(self.client.change(path, body, None));
        posted.map(|_| ())
    }

    /// Sends JSON to a path that changes nothing, and returns the answer.
    pub(super) fn ask<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &Json,
    ) -> Result<T, RunsError> {
        self.threads.block_on(self.client.ask(path, body))
    }

    /// Starts a run; with a key, retries while no answer arrives.
    fn begin(&self, path: &str, body: &Json, key: Option<&str>) -> Result<Started, RunsError> {
        let (began, mut tries, mut is_in_doubt) = (Instant::now(), 0, false);
        loop {
            let asked = self.threads.block_on(self.client.change(path, body, key));
            tries += 1;
            let error = match asked {
                Ok(StartedRun { run, is_repeated }) => {
                    return Ok(Started {
                        run: RunId::stored(run),
                        is_repeated,
                    });
                }
                Err(error) => error,
            };
            let has_patience = if is_in_doubt || error.is_in_doubt {
                began.elapsed() < PATIENCE
            } else {
                tries < TRIES
            };
            let passes = error.code == "server" && error.kind == Kind::Busy;
            if !(passes && key.is_some() && has_patience) {
                // The request of an earlier try may have been carried out.
                return Err(if is_in_doubt && !error.is_in_doubt {
                    in_doubt(error)
                } else {
                    error
                });
            }
            is_in_doubt |= error.is_in_doubt;
            std::thread::sleep(PAUSE * tries.min(TRIES));
        }
    }

    fn changed(&self) -> &watch::Sender<u64> {
        self.changes.get_or_init(|| {
            let (sender, _) = watch::channel(0);
            let (client, told) = (self.client.clone(), sender.clone());
            self.threads.spawn(async move {
                loop {
                    let mut tell = |_: follow::Sent| -> Result<(), RunsError> {
                        told.send_modify(|count| *count += 1);
                        Ok(())
                    };
                    // The next call returns the error, whatever ended this one.
                    let _ = follow::listen(&client, "/api/v1/stream", None, &mut tell).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
            sender
        })
    }
}

impl Runs for There {
    fn workflows(&self) -> Result<Vec<Listed>, RunsError> {
        let listed: Workflows = self.get("/api/v1/workflows", &[])?;
        let mut found = Vec::new();
        for item in listed.workflows {
            let Some(name) = WorkflowName::parse(&item.name) else {
                continue;
            };
            found.push(Listed {
                program: match item.problem {
                    Some(problem) => Err(RunsError::wrong("invalid-workflow", problem)),
                    None => self.workflow(&name),
                },
                file: name.as_str().into(),
                name,
            });
        }
        Ok(found)
    }

    fn workflow(&self, name: &WorkflowName) -> Result<Program, RunsError> {
        let name = encoded(name.as_str());
        let files: Files = self.get(&format!("/api/v1/workflows/{name}/files"), &[])?;
        let main = files.main.clone();
        Ok(compile(&main, &mut Frozen(texts(files)))?)
    }

    fn targets(&self) -> Result<Vec<String>, RunsError> {
        let names: TargetNames = self.get("/api/v1/targets", &[])?;
        Ok(names.targets)
    }

    fn list(&self, filter: &Filter) -> Result<Page, RunsError> {
        let mut page = Page {
            rows: Vec::new(),
            has_more: false,
        };
        let mut before = filter.before.as_ref().map(ToString::to_string);
        loop {
            let left = match filter.limit {
                0 => ROWS,
                limit => (limit - page.rows.len()).min(ROWS),
            };
            let mut query = vec![("limit", left.to_string())];
            let given = [
                ("status", &filter.status),
                ("workflow", &filter.workflow),
                ("target", &filter.target),
                ("requester", &filter.requester),
                ("text", &filter.text),
                ("before", &before),
            ];
            query.extend(
                given
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value.clone()?))),
            );
            let part: RunsPage = self.get("/api/v1/runs", &query)?;
            page.rows
                .extend(part.runs.into_iter().map(wire::RunItem::row));
            page.has_more = part.next.is_some();
            let is_full = filter.limit > 0 && page.rows.len() >= filter.limit;
            if !page.has_more || is_full {
                return Ok(page);
            }
            before = part.next;
        }
    }

    fn run(&self, id: &RunId) -> Result<Shown, RunsError> {
        let is_driven = self.is_driven(id)?;
        let state = self.state_of(id)?;
        let info = state.run.clone().ok_or_else(|| RunsError::no_run(id))?;
        let program = compile_editions(&info, |edition| self.files(id, edition))?;
        Ok(Shown {
            id: id.clone(),
            program: Arc::new(program),
            info,
            state: Arc::new(state),
            is_driven,
            at: now(),
        })
    }

    fn events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), RunsError> {
        while self.some_events(id, cursor, EVENTS, each)? {}
        Ok(())
    }

    fn some_events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        most: usize,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError> {
        let mut limit = most.min(EVENTS);
        loop {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(
                cursor
                    .next
                    .checked_sub(1)
                    .map(|after| ("after", after.to_string())),
            );
            let path = format!("/api/v1/runs/{id}/events");
            let page = self.client.get_bounded(&path, &query);
            let page: EventsPage = match self.threads.block_on(page)? {
                Some(page) => page,
                None if limit > 1 => {
                    limit /= 2;
                    continue;
                }
                None => return Err(self.client.too_large(&path)),
            };
            let has_more = page.has_more && !page.events.is_empty();
            for item in page.events {
                let record = item.record();
                *cursor = Cursor::behind(&record);
                each(record);
            }
            return Ok(has_more);
        }
    }

    fn plan(
        &self,
        wanted: &StartWanted,
        depth: PlanDepth,
        who: &Person,
    ) -> Result<Planned, RunsError> {
        let program = self.workflow(&wanted.workflow)?;
        let sent = Sent {
            file: program.main.clone(),
            program,
            target: wanted.target.clone(),
            params: wanted.params.clone(),
            chosen: BTreeSet::new(),
            may_differ: false,
        };
        self.plan_sent(&sent, depth, who)
    }

    fn plan_sent(&self, sent: &Sent, depth: PlanDepth, _: &Person) -> Result<Planned, RunsError> {
        self.planned(sent, depth)
    }

    fn start(
        &self,
        wanted: &StartWanted,
        key: Option<&str>,
        _: &Person,
    ) -> Result<Started, RunsError> {
        let params = self.threads.block_on(sendable(&wanted.params))?;
        let mut body = json!({
            "workflow": wanted.workflow.as_str(),
            "target": wanted.target,
            "params": params,
        });
        // Servers of older versions do not know it.
        if let Some(plan) = wanted.plan {
            body["plan"] = json!(plan);
        }
        self.begin("/api/v1/runs", &body, key)
    }

    fn send(&self, sent: &Sent, key: Option<&str>, _: &Person) -> Result<Started, RunsError> {
        self.begin("/api/v1/frozen", &self.frozen(sent)?, key)
    }

    fn files(&self, id: &RunId, edition: u32) -> Result<BTreeMap<String, Arc<str>>, RunsError> {
        let query = [("edition", edition.to_string())];
        let files: Files = self.get(&format!("/api/v1/runs/{id}/files"), &query)?;
        Ok(texts(files))
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, RunsError> {
        let links: Links = self.get(&format!("/api/v1/runs/{id}/links"), &[])?;
        Ok(links.links)
    }

    fn answer(&self, id: &RunId, answers: &Answers, _: &Person) -> Result<(), RunsError> {
        // Servers of older versions know only this request.
        if let [(step, shown)] = answers.steps.as_slice() {
            let verb = match answers.verdict {
                Verdict::Approved => "approve",
                Verdict::Rejected => "reject",
            };
            let body = json!({ "step": step, "digest": shown, "comment": answers.comment });
            return self.post(&format!("/api/v1/runs/{id}/{verb}"), &body);
        }
        let steps = answers.steps.iter();
        let steps = steps.map(|(step, shown)| json!({ "step": step, "digest": shown }));
        let body = json!({
            "verdict": answers.verdict,
            "answers": steps.collect::<Vec<_>>(),
            "comment": answers.comment,
        });
        let posted = self.post(&format!("/api/v1/runs/{id}/answers"), &body);
        posted.map_err(|error| match error.code {
            "not-found" => {
                let message = "this server answers one step at a time; nothing was answered";
                RunsError::wrong("server", message).hint("name one step, or update the server")
            }
            _ => error,
        })
    }

    fn cancel(&self, id: &RunId, _: &Person) -> Result<(), RunsError> {
        self.post(&format!("/api/v1/runs/{id}/cancel"), &json!({}))
    }

    fn resume(&self, id: &RunId, _: &Person) -> Result<(), RunsError> {
        self.post(&format!("/api/v1/runs/{id}/resume"), &json!({}))
    }

    fn undo_plan(&self, id: &RunId, answers: &DoubtAnswers) -> Result<UndoPlan, RunsError> {
        let plan: wire::UndoPlan = match answers {
            [] => self.get(&format!("/api/v1/runs/{id}/undo"), &[])?,
            answers => {
                let body = json!({ "answers": self.answers(answers)? });
                self.ask(&format!("/api/v1/runs/{id}/undo-plan"), &body)?
            }
        };
        let items = plan.items.into_iter().map(wire::UndoLine::item);
        let items = items.collect::<Option<_>>().ok_or_else(|| {
            let message = "this version of windlass does not understand the plan of this undo";
            RunsError::broken("server", message)
                .hint("use the same version of windlass as the server")
        })?;
        let refused = plan.refused.map(|why| why.error(Kind::Conflict));
        Ok(UndoPlan {
            items,
            refused,
            events: plan.events,
        })
    }

    fn undo(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        how: Undoing,
        _: &Person,
    ) -> Result<(), RunsError> {
        let mut body = match answers {
            [] => json!({}),
            answers => json!({ "answers": self.answers(answers)? }),
        };
        // Only where they are asked for: servers of older versions do not know them.
        if how.force {
            body["force"] = true.into();
        }
        if let Some(events) = how.events {
            body["events"] = events.into();
        }
        self.post(&format!("/api/v1/runs/{id}/undo"), &body)
    }

    fn sightings(&self) -> Result<Gathered, RunsError> {
        // A server reads only the runs that have changed since it was last asked.
        match self.get("/api/v1/sightings", &[]) {
            Err(error) if error.code == "not-found" => {}
            gathered => return gathered,
        }
        // An older one has each run read here.
        let rows = self.list(&Filter::default())?.rows.into_iter();
        let runs = rows.map(|row| RunStamp {
            run: row.run.id,
            stamp: None,
        });
        // Nothing of a server is stored here.
        let folder = tempfile::tempdir()
            .map_err(|e| RunsError::broken("system", format!("can't make a folder: {e}")))?;
        let kept = self.seen_of_pruned()?;
        Ok(gather(runs.collect(), kept, folder.path(), |run| {
            self.state_of(run)
        }))
    }

    fn prunable(&self, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
        self.prunable_there(wanted)
    }

    fn prune(&self, wanted: &Retention, _: &Person) -> Result<Pruning, RunsError> {
        self.prune_there(wanted)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed().subscribe()
    }

    fn tallies(&self) -> Tallies {
        Tallies::default()
    }

    fn version(&self) -> Result<i64, RunsError> {
        let count = *self.changed().borrow();
        Ok(count as i64)
    }

    fn waits_for(&self, id: &RunId) -> Option<(String, String)> {
        self.detail(id).ok()?.lock()
    }

    fn revision(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        self.revision_of(id, changes)
    }

    fn resume_with(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
        _: &Person,
    ) -> Result<(), RunsError> {
        self.resume_revised(id, changes, shown)
    }

    fn answer_doubts(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        shown: Option<u64>,
        _: &Person,
    ) -> Result<(), RunsError> {
        self.resume_answered(id, answers, shown)
    }

    fn handshakes(&self, target: &str) -> Result<Handshakes, RunsError> {
        let query = [("target", target.to_owned())];
        let document: Json = self.get("/api/v1/mesh", &query)?;
        Ok(Handshakes::of_json(&document))
    }

    fn trouble(&self, id: &RunId) -> Option<String> {
        self.detail(id).ok()?.trouble
    }
}

fn texts(files: Files) -> BTreeMap<String, Arc<str>> {
    let files = files.files.into_iter();
    files.map(|(path, text)| (path, text.into())).collect()
}

/// Encodes a name as a part of an address.
pub fn encoded(name: &str) -> String {
    aws::encode(name)
}
