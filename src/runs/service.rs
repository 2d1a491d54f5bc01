use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use serde_json::Value as Json;
use tokio::sync::watch;

use super::{
    answers::Answers,
    begin::Beginning,
    doubt::{Doubt, DoubtAnswers, doubts},
    error::RunsError,
    folds::Cursor,
    library::WorkflowName,
    log::{LogLine, line},
    peers::Peers,
    preflight::Note,
    prune::{Pruning, Retention},
    revise::{Changes, Revision},
    rules,
    tallies::Tallies,
};
use windlass_compile::Program;
use windlass_engine::{
    decide::{self, Refusal},
    execute::{Obstacle, UndoItem},
};
use windlass_ground::Timestamp;
use windlass_inventory::{Gathered, Inventory};
use windlass_journal::{
    Approval, Decision, Event, HeldLock, InstanceId, JournalError, Link, Pruned, Record, RunId,
    RunInfo, RunRow, State, Status, Verdict, Via,
};
use windlass_mesh::Handshakes;
use windlass_report::cut;
use windlass_report::{EventLines, RunStanding};
use windlass_targets::{LOCAL, Scope};
use windlass_world::value::{Digest, Value};

/// The operations on runs.
///
/// Every call blocks its thread on the disk or the network, so it must not be made on a thread of an asynchronous runtime.
pub trait Runs: Send + Sync {
    /// Lists the workflows that may be started, by name.
    fn workflows(&self) -> Result<Vec<Listed>, RunsError>;

    /// Compiles the current files of a workflow.
    fn workflow(&self, name: &WorkflowName) -> Result<Program, RunsError>;

    /// Returns the targets on which a run may be started.
    fn targets(&self) -> Result<Vec<String>, RunsError>;

    /// Lists runs, the newest first.
    fn list(&self, filter: &Filter) -> Result<Page, RunsError>;

    /// Returns the current state of a run.
    fn run(&self, id: &RunId) -> Result<Shown, RunsError>;

    /// Reads the events of a run after a cursor, and moves the cursor.
    fn events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), RunsError>;

    /// Like [`Runs::events`], for at most `most` events, so that a long run is never in memory as a whole. Returns whether more
    /// follow.
    fn some_events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        most: usize,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError>;

    /// Like [`Runs::events`], for a reader of all runs: it may leave out the events of the last moments, but none that the last
    /// list showed.
    fn events_so_far(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), RunsError> {
        self.events(id, cursor, each)
    }

    /// Works out what a start would do, and changes nothing.
    fn plan(
        &self,
        wanted: &StartWanted,
        depth: PlanDepth,
        who: &Person,
    ) -> Result<Planned, RunsError>;

    /// Works as [`Runs::plan`] for a workflow whose files the caller has.
    fn plan_sent(&self, _: &Sent, _: PlanDepth, _: &Person) -> Result<Planned, RunsError> {
        Err(unsupported())
    }

    /// Starts a run. After this has returned, the run exists and continues even after a crash; a repeated call with the same key returns the
    /// same run.
    fn start(
        &self,
        wanted: &StartWanted,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError>;

    /// Like [`Runs::start`], for a workflow whose files the caller sends.
    fn send(&self, sent: &Sent, key: Option<&str>, who: &Person) -> Result<Started, RunsError>;

    /// Returns the files that a run froze, by their paths; `edition` counts the edits of the run.
    fn files(&self, id: &RunId, edition: u32) -> Result<BTreeMap<String, Arc<str>>, RunsError>;

    /// Reads the events of a run without its secrets, in the form that the chain of digests covers.
    fn links(&self, id: &RunId) -> Result<Vec<Link>, RunsError>;

    /// Answers questions of a run: all of them, or none if one of the answers does not count. If the run is being driven, an answer
    /// of someone else may come in between; the error then says which steps it was.
    fn answer(&self, id: &RunId, answers: &Answers, who: &Person) -> Result<(), RunsError>;

    /// Stops a run, which can be resumed later.
    fn cancel(&self, id: &RunId, who: &Person) -> Result<(), RunsError>;

    /// Resumes a run that failed, was cancelled or was interrupted.
    fn resume(&self, id: &RunId, who: &Person) -> Result<(), RunsError>;

    /// Works out what an undo would do, based on the current state and on a person's answers about calls in doubt.
    fn undo_plan(&self, id: &RunId, answers: &DoubtAnswers) -> Result<UndoPlan, RunsError>;

    /// Reverses what a run did; records first what a person says of calls in doubt. Refuses where a newer run changed the
    /// same things, and where the run has changed since its plan was shown.
    fn undo(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        how: Undoing,
        who: &Person,
    ) -> Result<(), RunsError>;

    /// Gathers what the runs saw of certificates. Only those that have changed since the last look are read.
    fn sightings(&self) -> Result<Gathered, RunsError>;

    /// Works out which certificates the runs made, delivered and found.
    fn certificates(&self) -> Result<Inventory, RunsError> {
        Ok(self.sightings()?.inventory())
    }

    /// Changes whenever something happens in a run that this service drives.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Returns the counters of the runs that this process drove.
    fn tallies(&self) -> Tallies;

    /// Returns a number that changes whenever a run gets an event, no matter which process drives it.
    fn version(&self) -> Result<i64, RunsError>;

    /// Returns the lock that a run driven here waits for, and the run that holds it, in the form for people.
    fn waits_for(&self, id: &RunId) -> Option<(String, String)>;

    /// Returns why a run that this service should drive can't continue; `None` when it can again.
    fn trouble(&self, id: &RunId) -> Option<String>;

    /// Lists the runs that have not ended and can't continue for now.
    fn stuck(&self) -> Result<Vec<StuckRun>, RunsError> {
        Ok(Vec::new())
    }

    /// Says whether a run is driven, but paused until a person resumes it.
    fn is_paused(&self, _: &Shown) -> bool {
        false
    }

    /// Returns all lines of a run's log.
    fn log(&self, id: &RunId) -> Result<Arc<Vec<LogLine>>, RunsError> {
        let (mut said, mut lines) = (EventLines::default(), Vec::new());
        self.events(id, &mut Cursor::default(), &mut |record| {
            lines.push(line(&mut said, &record));
        })?;
        Ok(Arc::new(lines))
    }

    /// Returns a cursor before the event with this number, so that the end of a long journal can be read without its beginning. Its
    /// events are checked against the digest of the event before, which is itself not checked.
    fn cursor(&self, _: &RunId, _seq: u64) -> Result<Cursor, RunsError> {
        Ok(Cursor::default())
    }

    /// Returns what a resume with changes would do, and changes nothing.
    fn revision(&self, _: &RunId, _: &Changes) -> Result<Revision, RunsError> {
        Err(unsupported())
    }

    /// Resumes a run with changes. `shown` is the digest of the revision that was shown to the person; if the revision has changed,
    /// nothing is done.
    fn resume_with(
        &self,
        _: &RunId,
        _: &Changes,
        _shown: Option<Digest>,
        _: &Person,
    ) -> Result<(), RunsError> {
        Err(unsupported())
    }

    /// Records the answers about calls in doubt, and resumes the run. `shown` is the number of events that the run had when the person saw
    /// what is in doubt; if it has more by now, nothing is done, because something else may be in doubt.
    fn answer_doubts(
        &self,
        _: &RunId,
        _: &DoubtAnswers,
        _shown: Option<u64>,
        _: &Person,
    ) -> Result<(), RunsError> {
        Err(unsupported())
    }

    /// Collects and verifies the evidence of a run.
    fn evidence(&self, _: &RunId) -> Result<Evidence, RunsError> {
        Err(unsupported())
    }

    /// Returns the connection to other servers of the same runs; `None` if this is the only server.
    fn peers(&self) -> Option<&dyn Peers> {
        None
    }

    /// Lists the runs that [`Runs::prune`] would delete, newest first.
    fn prunable(&self, _: &Retention) -> Result<Vec<RunRow>, RunsError> {
        Err(unsupported())
    }

    /// Lists the remains of deleted runs.
    fn pruned(&self) -> Result<Vec<Pruned>, RunsError> {
        Err(unsupported())
    }

    /// Deletes runs that ended long ago.
    fn prune(&self, _: &Retention, _: &Person) -> Result<Pruning, RunsError> {
        Err(unsupported())
    }

    /// Lists the locks that runs hold.
    fn locks(&self) -> Result<Vec<HeldLock>, RunsError> {
        Err(unsupported())
    }

    /// Tries the handshakes between all players of a target's rehearsal clusters.
    fn handshakes(&self, _target: &str) -> Result<Handshakes, RunsError> {
        Err(unsupported())
    }
}

/// The person who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub via: Option<Via>,
}

impl Person {
    /// For events of a plan, which are never recorded.
    pub fn nobody() -> Self {
        Self {
            name: String::new(),
            via: None,
        }
    }
}

/// A workflow that may be started.
pub struct Listed {
    pub name: WorkflowName,
    pub file: PathBuf,
    /// The workflow, or the reason why it can't be started.
    pub program: Result<Program, RunsError>,
}

/// Selects the runs of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<String>,
    pub workflow: Option<String>,
    pub target: Option<String>,
    pub requester: Option<String>,
    /// A part of an id, or of the name of a workflow or target.
    pub text: Option<String>,
    /// Runs that started before this one.
    pub before: Option<RunId>,
    /// Runs of these workflows and targets; `None` for all.
    pub within: Option<Vec<Scope>>,
    /// The largest number of runs; 0 for all.
    pub limit: usize,
    /// Whether to leave out the errors of runs that have ended, which must be looked up in their events.
    pub is_brief: bool,
}

/// The statuses that runs can have.
pub const STATUSES: [&str; 11] = [
    "succeeded",
    "failed",
    "cancelled",
    "undone",
    "undo failed",
    "running",
    "waiting",
    "expired",
    "approved",
    "rejected",
    "interrupted",
];

/// Refuses to list the runs with a status that no run can have.
///
/// # Errors
/// The status is unknown, with those that exist.
pub fn refuse_unknown_status(status: &str) -> Result<(), RunsError> {
    if STATUSES.contains(&status) {
        return Ok(());
    }
    let message = format!("`{status}` is not a status of runs");
    let hint = format!("the statuses are {}", STATUSES.join(", "));
    Err(RunsError::wrong("bad-request", message).hint(hint))
}

/// A part of the list of runs.
pub struct Page {
    pub rows: Vec<Row>,
    /// Whether older ones follow.
    pub has_more: bool,
}

/// A run in a list.
#[derive(Clone, Debug)]
pub struct Row {
    pub run: RunRow,
    /// The status, as shown to people.
    pub status: String,
    /// The first line of the reason why it failed.
    pub error: Option<String>,
    /// The questions that it asks now.
    pub asks: Vec<Ask>,
}

/// A question that waits for an answer.
#[derive(Clone, Debug)]
pub struct Ask {
    pub step: InstanceId,
    pub message: String,
    pub digest: Digest,
    pub asked_at: Timestamp,
    pub deadline: Option<Timestamp>,
}

impl Ask {
    /// Returns it for a list, where only the first characters of its message are shown.
    pub fn listed(&self) -> Self {
        Self {
            message: cut(&self.message, LISTED_QUESTION),
            ..self.clone()
        }
    }
}

/// A run that has not ended and can't continue for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckRun {
    pub run: RunId,
    /// Why, for people.
    pub why: String,
    /// Whether it stays so until a person resumes it; otherwise it is tried again.
    pub is_paused: bool,
    /// Tells this time from another one at which the run could not continue: the same text on all servers of a run.
    pub since: String,
}

/// A run with its current state.
pub struct Shown {
    pub id: RunId,
    pub state: Arc<State>,
    pub info: RunInfo,
    /// The files that it uses.
    pub program: Arc<Program>,
    pub is_driven: bool,
    /// The time of this state.
    pub at: Timestamp,
}

/// The data for starting a run.
#[derive(Clone, Debug)]
pub struct StartWanted {
    pub workflow: WorkflowName,
    pub target: String,
    pub params: BTreeMap<String, Value>,
    /// The digest of the plan that was shown to the person; `None` if any plan will do.
    pub plan: Option<Digest>,
}

impl StartWanted {
    /// Returns what a request in JSON asks for; the target is by default `local`.
    pub fn from_json(
        workflow: WorkflowName,
        target: Option<String>,
        params: BTreeMap<String, Json>,
    ) -> Self {
        let params = params.into_iter();
        Self {
            workflow,
            target: target.unwrap_or_else(|| LOCAL.into()),
            params: params
                .map(|(name, json)| (name, Value::from_json(json)))
                .collect(),
            plan: None,
        }
    }

    /// Refuses a start whose plan is no longer the one that was shown.
    pub(crate) fn refuse_other_plan(&self, state: &State) -> Result<(), RunsError> {
        match self.plan {
            Some(shown) if shown != plan_digest(state) => Err(plan_changed(
                "the params or the workflow's files have changed since the plan was shown",
            )),
            _ => Ok(()),
        }
    }
}

/// Digests what a start is about: the files, the target and the params. Each secret is represented by its mask.
fn plan_digest(state: &State) -> Digest {
    let Some(info) = &state.run else {
        return Digest::ZERO;
    };
    let kube: Vec<_> = info.kube.iter().map(String::as_str).collect();
    Digest::of(&[
        info.program.as_bytes(),
        info.target.as_bytes(),
        kube.join(" ").as_bytes(),
        info.params.digest().as_bytes(),
    ])
}

/// A workflow whose files the caller sends, and the data for starting a run of it.
pub struct Sent {
    pub program: Program,
    /// The name of the file, as the person gave it.
    pub file: String,
    pub target: String,
    pub params: BTreeMap<String, Value>,
    /// The steps to which the run is limited; empty for all.
    pub chosen: BTreeSet<String>,
    /// Whether the files may differ from those of the workflows that may be started by name.
    pub may_differ: bool,
}

/// How much a plan asks of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanDepth {
    /// What every start checks.
    Checks,
    /// Also runs the steps that only read, and tries changes in Kubernetes as dry runs.
    Looks,
}

/// What an undo would do.
pub struct UndoPlan {
    pub items: Vec<UndoItem>,
    /// Why it would be refused unless forced.
    pub refused: Option<RunsError>,
    /// The number of events of the run; `None` if an older server does not say it.
    pub events: Option<u64>,
}

impl UndoPlan {
    /// Puts the plan together for a run in this state.
    pub(super) fn of(state: &State, items: Vec<UndoItem>, refused: Option<RunsError>) -> Self {
        Self {
            items,
            refused,
            events: Some(state.events),
        }
    }
}

/// How to undo a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undoing {
    /// Whether to undo it although a newer run changed the same things.
    pub force: bool,
    /// The number of events that the run had when its plan was shown; `None` if any plan will do.
    pub events: Option<u64>,
}

impl Undoing {
    /// Refuses to undo a run that can't be undone, or not in this way; `newer` refuses it where a newer run changed the same things.
    ///
    /// # Errors
    /// What forbids the undo.
    pub fn refuse<E: From<RunsError>>(
        self,
        id: &RunId,
        state: &State,
        newer: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        rules::refuse_undo(id, state)?;
        self.refuse_changed(state)?;
        if self.force { Ok(()) } else { newer() }
    }

    /// Refuses to undo a run that has changed since its plan was shown.
    ///
    /// # Errors
    /// A run with other events.
    fn refuse_changed(self, state: &State) -> Result<(), RunsError> {
        let message = "the run has changed since the plan of its undo was shown";
        refuse_changed(self.events, state, message)
    }
}

/// Refuses what was confirmed for a run with another number of events than it has now; `None` confirms it for any.
pub(crate) fn refuse_changed(
    shown: Option<u64>,
    state: &State,
    message: &str,
) -> Result<(), RunsError> {
    match shown {
        Some(events) if events != state.events => Err(plan_changed(message)),
        _ => Ok(()),
    }
}

/// The message for an answer to what may no longer be in doubt.
pub(crate) const DOUBT_CHANGED: &str =
    "the run has changed since this call was shown to be in doubt";

/// Returns the error for a plan that is no longer the one that was shown.
pub(crate) fn plan_changed(message: &str) -> RunsError {
    RunsError::conflict("plan-changed", message)
        .hint("look at the run again, and confirm what it shows now")
}

/// What a start would do.
pub struct Planned {
    pub program: Program,
    /// The run's first event.
    pub event: Event,
    /// The start time.
    pub at: Timestamp,
    /// What steps that only read found: the events after the first one.
    pub looked: Vec<Event>,
    /// The fold over these events.
    pub state: State,
    /// What would be refused.
    pub obstacles: Vec<Obstacle>,
    /// Whose AWS account it would change, for people.
    pub account: Option<String>,
    pub notes: Vec<Note>,
}

/// The evidence of a run.
pub struct Evidence {
    /// The bundle that `windlass audit --verify` reads.
    pub bundle: String,
    /// The summary, as `windlass audit --json` prints it.
    pub summary: serde_json::Value,
}

/// A run that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    pub run: RunId,
    /// Whether an earlier request with the same key started it.
    pub is_repeated: bool,
}

impl Planned {
    /// Returns the digest to which a start of this plan is bound.
    pub fn digest(&self) -> Digest {
        plan_digest(&self.state)
    }

    pub(crate) fn of(program: Program, beginning: Beginning, notes: Vec<Note>) -> Self {
        Self {
            program,
            event: beginning.event,
            at: beginning.at,
            looked: Vec::new(),
            state: beginning.state,
            obstacles: Vec::new(),
            account: None,
            notes,
        }
    }
}

impl Shown {
    /// Returns its status in one word.
    pub fn status(&self) -> &'static str {
        status(&self.state, self.is_driven, self.at)
    }

    /// Returns the questions that wait for an answer.
    pub fn asks(&self) -> Vec<Ask> {
        asks(&self.state, self.at)
    }

    /// Returns the calls in doubt, which only a person can settle; none while the run is driven.
    pub fn doubts(&self) -> Vec<Doubt> {
        if self.is_driven {
            Vec::new()
        } else {
            doubts(&self.state)
        }
    }

    /// Says whether a person may answer one of its questions now.
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_answer(&self, ask: &Ask, who: &Person) -> Result<(), Refusal> {
        let answer = Decision {
            step: ask.step.clone(),
            verdict: Verdict::Approved,
            approver: who.name.clone(),
            via: who.via.clone(),
            comment: None,
            digest: ask.digest,
        };
        let workflow = &self.program.workflow;
        decide::on_answer(workflow, &self.state, self.id.as_str(), &answer, self.at).map(|_| ())
    }
}

fn unsupported() -> RunsError {
    RunsError::wrong("serve", "this is not supported for these runs")
        .hint("use the command line on the machine where the runs are")
}

/// Returns the status of a run at this time in one word.
pub(super) fn status(state: &State, is_driven: bool, at: Timestamp) -> &'static str {
    match state.outcome {
        Some(outcome) => outcome.as_str(),
        None => RunStanding::of(state, is_driven, at).as_str(),
    }
}

/// The longest question in a list, in characters.
const LISTED_QUESTION: usize = 300;

/// Returns the questions of a run for a list, where only their first characters are shown.
pub(super) fn listed_asks(state: &State, at: Timestamp) -> Vec<Ask> {
    asks(state, at).iter().map(Ask::listed).collect()
}

/// Returns the questions of a run that can be answered at this time.
pub(super) fn asks(state: &State, at: Timestamp) -> Vec<Ask> {
    let waiting = state
        .steps
        .iter()
        .filter(|(_, instance)| instance.status == Status::Waiting);
    let asked = waiting.filter_map(|(step, instance)| Some((step, instance.approval.as_deref()?)));
    let open = asked.filter(|(_, asked)| state.outcome.is_none() && !asked.has_expired(at));
    open.map(|(step, asked)| ask(step, asked)).collect()
}

fn ask(step: &InstanceId, asked: &Approval) -> Ask {
    Ask {
        step: step.clone(),
        message: asked.message.clone(),
        digest: asked.digest,
        asked_at: asked.asked_at,
        deadline: asked.deadline,
    }
}

/// Returns the start of a run.
///
/// # Errors
/// A journal without it.
pub(super) fn info(state: &State) -> Result<&RunInfo, RunsError> {
    let info = state.run.as_ref();
    info.ok_or_else(|| RunsError::from(JournalError::NoRun(String::new())))
}
