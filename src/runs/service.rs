use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::watch;

use super::{
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
    tallies::Tallies,
};
use windlass_engine::{
    compile::Program,
    decide::{self, Refusal},
    execute::{Obstacle, UndoItem},
    journal::{
        Approval, Decision, Event, HeldLock, InstanceId, Link, Pruned, Record, RunId, RunInfo,
        RunRow, State, Status, Verdict, Via,
    },
};
use windlass_ground::Timestamp;
use windlass_inventory::{Gathered, Inventory};
use windlass_mesh::Handshakes;
use windlass_report::{EventLines, Standing};
use windlass_targets::Scope;
use windlass_world::value::{Digest, Value};

/// All that can be done with runs.
///
/// Every call blocks its thread on the disk or the network, which must not be one of an asynchronous runtime.
pub trait Runs: Send + Sync {
    /// Lists the workflows that may be started, by name.
    fn workflows(&self) -> Result<Vec<Listed>, RunsError>;

    /// Compiles a workflow as its files are now.
    fn workflow(&self, name: &WorkflowName) -> Result<Program, RunsError>;

    /// Returns the targets that a run may have.
    fn targets(&self) -> Result<Vec<String>, RunsError>;

    /// Lists runs, the newest first.
    fn list(&self, filter: &Filter) -> Result<Page, RunsError>;

    /// Returns a run as it is now.
    fn run(&self, id: &RunId) -> Result<Shown, RunsError>;

    /// Reads the events of a run behind a cursor, and moves it.
    fn events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), RunsError>;

    /// Works as [`Runs::events`] for `most` events at most, so that a long run is never in memory as a whole. Returns whether more
    /// follow.
    fn some_events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        most: usize,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError>;

    /// Works as [`Runs::events`] for a reader of all runs: it may leave out what happened in the last moments, but nothing that
    /// the last list told.
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

    /// Starts a run. Once this returns, the run is found and goes on after a crash; the same key gives the same run, whether or
    /// not its first answer arrived.
    fn start(
        &self,
        wanted: &StartWanted,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError>;

    /// Works as [`Runs::start`] for a workflow whose files the caller has.
    fn send(&self, sent: &Sent, key: Option<&str>, who: &Person) -> Result<Started, RunsError>;

    /// Returns the files that a run froze, by their paths; `edition` counts the edits of the run.
    fn files(&self, id: &RunId, edition: u32) -> Result<BTreeMap<String, Arc<str>>, RunsError>;

    /// Reads the events of a run without its secrets, in the form in which the chain of digests covers them.
    fn links(&self, id: &RunId) -> Result<Vec<Link>, RunsError>;

    /// Answers a question of a run. `digest` is of what was shown to the person; an answer to something else does not count.
    fn answer(
        &self,
        id: &RunId,
        step: &InstanceId,
        verdict: Verdict,
        shown: Option<Digest>,
        comment: Option<String>,
        who: &Person,
    ) -> Result<(), RunsError>;

    /// Stops a run; it can be resumed.
    fn cancel(&self, id: &RunId, who: &Person) -> Result<(), RunsError>;

    /// Resumes a run that failed, was cancelled or was interrupted.
    fn resume(&self, id: &RunId, who: &Person) -> Result<(), RunsError>;

    /// Lists what an undo would do, by looking at what is there now, and with what a person says of calls in doubt.
    fn undo_plan(&self, id: &RunId, answers: &DoubtAnswers) -> Result<Vec<UndoItem>, RunsError>;

    /// Reverses what a run did; records first what a person says of calls in doubt. Refuses where a newer run changed the
    /// same things, unless `force` is set.
    fn undo(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        force: bool,
        who: &Person,
    ) -> Result<(), RunsError>;

    /// Gathers what the runs saw of certificates. Only those that have changed since the last look are read.
    fn sightings(&self) -> Result<Gathered, RunsError>;

    /// Works out which certificates the runs made, delivered and found.
    fn certificates(&self) -> Result<Inventory, RunsError> {
        Ok(self.sightings()?.inventory())
    }

    /// Changes whenever something happened in a run that this service drives.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Says what was counted in the runs that this process drove.
    fn tallies(&self) -> Tallies;

    /// Returns a number that changes whenever a run gets an event, whoever drives it.
    fn version(&self) -> Result<i64, RunsError>;

    /// Returns the lock that a run driven here waits for, and the run that holds it, as people are told it.
    fn waits_for(&self, id: &RunId) -> Option<(String, String)>;

    /// Says why a run that this service should drive can't go on, until it does.
    fn trouble(&self, id: &RunId) -> Option<String>;

    /// Returns the lines of a run's log, all of them.
    fn log(&self, id: &RunId) -> Result<Arc<Vec<LogLine>>, RunsError> {
        let (mut said, mut lines) = (EventLines::default(), Vec::new());
        self.events(id, &mut Cursor::default(), &mut |record| {
            lines.push(line(&mut said, &record));
        })?;
        Ok(Arc::new(lines))
    }

    /// Returns a cursor before the event with a number, so that the end of a long journal is read without its beginning. What it
    /// reads is chained to the event before, which is taken as it is stored.
    fn cursor(&self, _: &RunId, _seq: u64) -> Result<Cursor, RunsError> {
        Ok(Cursor::default())
    }

    /// Works out what a resume with changes does, and changes nothing.
    fn revision(&self, _: &RunId, _: &Changes) -> Result<Revision, RunsError> {
        Err(unsupported())
    }

    /// Resumes a run with changes. `shown` is the digest of the revision that the person was shown; where it is another one by
    /// now, nothing is done.
    fn resume_with(
        &self,
        _: &RunId,
        _: &Changes,
        _shown: Option<Digest>,
        _: &Person,
    ) -> Result<(), RunsError> {
        Err(unsupported())
    }

    /// Records what became of calls in doubt, and resumes the run.
    fn answer_doubts(&self, _: &RunId, _: &DoubtAnswers, _: &Person) -> Result<(), RunsError> {
        Err(unsupported())
    }

    /// Gathers the evidence of a run, and verifies it.
    fn evidence(&self, _: &RunId) -> Result<Evidence, RunsError> {
        Err(unsupported())
    }

    /// Returns what this server tells others over the same runs, and learns from them; `None` where it is the only one.
    fn peers(&self) -> Option<&dyn Peers> {
        None
    }

    /// Lists the runs that [`Runs::prune`] would delete, the newest first.
    fn prunable(&self, _: &Retention) -> Result<Vec<RunRow>, RunsError> {
        Err(unsupported())
    }

    /// Lists what is left of deleted runs.
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

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub via: Option<Via>,
}

/// A workflow that may be started.
pub struct Listed {
    pub name: WorkflowName,
    pub file: PathBuf,
    /// Or why it can't be.
    pub program: Result<Program, RunsError>,
}

/// Which runs are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<String>,
    pub workflow: Option<String>,
    pub target: Option<String>,
    pub requester: Option<String>,
    /// Part of an id, a workflow's or a target's name.
    pub text: Option<String>,
    /// Those that started before this one.
    pub before: Option<RunId>,
    /// Those of one of these workflows and targets; `None` for all.
    pub within: Option<Vec<Scope>>,
    /// 0 for all.
    pub limit: usize,
    /// Whether errors of runs that have ended are left out: they have to be looked up in their events.
    pub is_brief: bool,
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
    /// As people call it.
    pub status: String,
    /// The first line of why it failed.
    pub error: Option<String>,
    /// What it asks of people now.
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

/// A run that is looked at.
pub struct Shown {
    pub id: RunId,
    pub state: Arc<State>,
    pub info: RunInfo,
    /// The files that it uses now.
    pub program: Arc<Program>,
    pub is_driven: bool,
    /// When this was true.
    pub at: Timestamp,
}

/// What a run is to be started with.
#[derive(Clone, Debug)]
pub struct StartWanted {
    pub workflow: WorkflowName,
    pub target: String,
    pub params: BTreeMap<String, Value>,
}

/// A workflow whose files the caller has, and what its run is to be started with.
pub struct Sent {
    pub program: Program,
    /// The file as the person named it.
    pub file: String,
    pub target: String,
    pub params: BTreeMap<String, Value>,
    /// The steps that the run is limited to; empty for all.
    pub chosen: BTreeSet<String>,
    /// Whether the files may be other ones than those that may be started by name.
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

/// What a start would do.
pub struct Planned {
    pub program: Program,
    /// The run's first event.
    pub event: Event,
    /// When it would be.
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

/// What a run proves.
pub struct Evidence {
    /// The bundle that `windlass audit --verify` reads.
    pub bundle: String,
    /// As `windlass audit --json` prints it.
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
    /// Says in one word where it stands.
    pub fn status(&self) -> &'static str {
        status(&self.state, self.is_driven, self.at)
    }

    /// Returns the questions that wait for an answer.
    pub fn asks(&self) -> Vec<Ask> {
        asks(&self.state, self.at)
    }

    /// Returns the calls of which only a person can say whether they were done; none while it is driven.
    pub fn doubts(&self) -> Vec<Doubt> {
        match self.is_driven {
            true => Vec::new(),
            false => doubts(&self.state),
        }
    }

    /// Says whether a person may answer a question of it now.
    ///
    /// # Errors
    /// Why not.
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
    RunsError::wrong("serve", "this service over runs can't do that")
        .hint("use the command line where the runs are")
}

/// Says in one word where a run stands at a moment.
pub(super) fn status(state: &State, is_driven: bool, at: Timestamp) -> &'static str {
    match state.outcome {
        Some(outcome) => outcome.as_str(),
        None => Standing::of(state, is_driven, at).as_str(),
    }
}

/// Returns the questions of a run that can be answered at a moment.
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
