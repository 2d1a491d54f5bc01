use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{runtime::Runtime, sync::watch};

use super::{
    prune::prunable_on,
    pulse::Pulse,
    reads::{Freshness, RunRead, RunReads},
    rows::FirstErrors,
    start::ToStart,
};
use crate::{
    alone::only_one,
    answers::Answers,
    bundle::gathered,
    clock::{new_id, now},
    doubt::DoubtAnswers,
    drivers::workflow_file,
    error::RunsError,
    folds::Cursor,
    foresee::Looks,
    handshakes::Asking,
    library::{Library, WorkflowName},
    peers::Peers,
    programs::ProgramCache,
    prune::{Pruning, Retention},
    revise::{Changes, Revision},
    service::{
        Evidence, Filter, Listed, Page, Person, PlanDepth, Planned, Runs, Sent, Shown, StartWanted,
        Started, StuckRun, UndoPlan, Undoing, info,
    },
    tallies::Tallies,
};
use windlass_compile::Program;
use windlass_engine::execute::{DriveError, HolderStands, Sight};
use windlass_ground::private::{check_state_folder, create_state_folder};
use windlass_inventory::{Gathered, RunStamp, gather};
use windlass_journal::{HeldLock, Link, Pruned, Record, RunId, RunInfo, RunLock, RunRow, State};
use windlass_mesh::Handshakes;
use windlass_restate::Remote;
use windlass_targets::{Folders, LOCAL, OpenTarget, Target, Targets};
use windlass_world::value::Digest;

/// The settings of [`OnRestate`].
pub struct OnRestateOptions {
    pub remote: Arc<Remote>,
    /// The folder with the identity of sealed secrets, and with the data of this process.
    pub state: PathBuf,
    /// The path of `windlass.toml`, and whether the user gave it.
    pub config: (PathBuf, bool),
    /// Where an undo's plan looks for files of scripts; workers write to their own folder.
    pub out: PathBuf,
    pub library: Library,
    /// How many steps of one run may run at once.
    pub max_parallel: u16,
}

/// The runs that a Restate server drives.
pub struct OnRestate {
    pub(super) options: OnRestateOptions,
    pub(super) remote: Arc<Remote>,
    /// Names this process among those that serve the same runs.
    pub(super) name: String,
    pub(super) reads: Arc<RunReads>,
    pub(super) pulse: Pulse,
    pub(super) errors: FirstErrors,
    pub(super) programs: ProgramCache,
    pub(super) looks: Looks,
    /// `None` only while it is dropped.
    pub(super) threads: Option<Runtime>,
    /// Keeps a second service out of the state folder.
    _lock: RunLock,
}

impl OnRestate {
    /// Connects to Restate, and reads the configuration.
    ///
    /// # Errors
    /// Restate can't be reached or has no worker, the configuration has mistakes, or the state folder is in use.
    pub fn open(options: OnRestateOptions) -> Result<Self, RunsError> {
        let (config, was_asked_for) = (&options.config.0, options.config.1);
        Targets::load(config, was_asked_for)?;
        options.library.list()?;
        create_state_folder(&options.state).map_err(|e| {
            let message = format!("can't create {}: {e}", options.state.display());
            RunsError::broken("journal", message)
        })?;
        check_state_folder(&options.state)
            .map_err(|e| RunsError::broken("journal", e.to_string()).hint(e.hint()))?;
        let lock = only_one(&options.state)?;
        let remote = options.remote.clone();
        // A question that a worker answers: the list of runs needs none.
        remote.triggers()?;
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(RunsError::no_threads)?;
        let reads = Arc::new(RunReads::new(remote.clone()));
        Ok(Self {
            pulse: Pulse::start(remote.clone(), reads.clone())?,
            name: new_id()?.to_string(),
            errors: FirstErrors::default(),
            programs: ProgramCache::default(),
            looks: Looks::default(),
            threads: Some(threads),
            _lock: lock,
            reads,
            remote,
            options,
        })
    }

    pub(super) fn shown(&self, id: &RunId) -> Result<Shown, RunsError> {
        let look = |read: &RunRead| (read.state.clone(), read.is_driven());
        let looked = self.reads.look_whole(id, look);
        let (state, is_driven) = looked.map_err(|error| self.unbegun(id, error))?;
        let info = info(&state)?.clone();
        Ok(Shown {
            id: id.clone(),
            program: self.program(id, &info)?,
            info,
            // A driver stores the end of its run shortly before it ends itself.
            is_driven: is_driven && state.outcome.is_none(),
            state,
            at: now(),
        })
    }

    /// Returns the program that a run continues with.
    pub(super) fn program(&self, id: &RunId, info: &RunInfo) -> Result<Arc<Program>, RunsError> {
        self.programs
            .of(info, |edition| Ok(self.remote.files(id, edition)?))
    }

    pub(super) fn load_targets(&self) -> Result<Targets, RunsError> {
        let (config, was_asked_for) = &self.options.config;
        Ok(Targets::load(config, *was_asked_for)?)
    }

    /// Says whether Restate drives the runs of a target: all targets that name no other Restate.
    pub(super) fn drives(&self, target: &Target) -> bool {
        let named = target.substrate.as_ref();
        named.is_none_or(|named| named.ingress() == self.remote.address().url)
    }

    pub(super) fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, RunsError>>,
    ) -> Result<T, RunsError> {
        match &self.threads {
            Some(threads) => windlass_ground::block_on(threads, future),
            None => Err(RunsError::broken("system", "the service has stopped")),
        }
    }

    /// Opens the target of a run here, as workers do on their machines.
    pub(super) async fn open_target(&self, info: &RunInfo) -> Result<OpenTarget, RunsError> {
        let targets = self.load_targets()?;
        let target = targets.find(&info.target)?;
        let workflow = workflow_file(info);
        let folders = Folders {
            out: Path::new(&info.out),
            state: &self.options.state,
            config: &self.options.config.0,
            workflow: Some(&workflow),
        };
        Ok(OpenTarget::open(target, folders, info.kube.clone()).await?)
    }
}

impl Drop for OnRestate {
    fn drop(&mut self) {
        // A runtime that waits for its threads can't be dropped on one of them.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl Runs for OnRestate {
    fn workflows(&self) -> Result<Vec<Listed>, RunsError> {
        self.options.library.compiled()
    }

    fn workflow(&self, name: &WorkflowName) -> Result<Program, RunsError> {
        Library::compile(&self.options.library.find(name)?)
    }

    fn targets(&self) -> Result<Vec<String>, RunsError> {
        let targets = self.load_targets()?;
        let mut names = BTreeSet::new();
        for name in targets.names().filter(|name| *name != LOCAL) {
            if targets.find(name)?.is_none_or(|target| self.drives(target)) {
                names.insert(name.to_owned());
            }
        }
        Ok(std::iter::once(LOCAL.to_owned()).chain(names).collect())
    }

    fn list(&self, filter: &Filter) -> Result<Page, RunsError> {
        self.rows(filter)
    }

    fn run(&self, id: &RunId) -> Result<Shown, RunsError> {
        self.shown(id)
    }

    fn events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), RunsError> {
        self.reads
            .tell(id, cursor, usize::MAX, Freshness::Now, each)?;
        Ok(())
    }

    fn some_events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        most: usize,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError> {
        self.reads.tell(id, cursor, most, Freshness::Now, each)
    }

    fn events_so_far(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), RunsError> {
        self.reads
            .tell(id, cursor, usize::MAX, Freshness::Lately, each)?;
        Ok(())
    }

    fn plan(
        &self,
        wanted: &StartWanted,
        depth: PlanDepth,
        who: &Person,
    ) -> Result<Planned, RunsError> {
        self.planned(&ToStart::Named(wanted), depth, who)
    }

    fn plan_sent(&self, sent: &Sent, depth: PlanDepth, who: &Person) -> Result<Planned, RunsError> {
        self.planned(&ToStart::Sent(sent), depth, who)
    }

    fn start(
        &self,
        wanted: &StartWanted,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        self.begin(&ToStart::Named(wanted), key, who)
    }

    fn send(&self, sent: &Sent, key: Option<&str>, who: &Person) -> Result<Started, RunsError> {
        self.begin(&ToStart::Sent(sent), key, who)
    }

    fn files(&self, id: &RunId, edition: u32) -> Result<BTreeMap<String, Arc<str>>, RunsError> {
        let files = self.remote.files(id, edition)?;
        if files.is_empty() {
            Err(RunsError::no_run(id))
        } else {
            Ok(files)
        }
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, RunsError> {
        let links = self.remote.links(id)?;
        if links.is_empty() {
            Err(RunsError::no_run(id))
        } else {
            Ok(links.into_iter().map(Link::redacted).collect())
        }
    }

    fn answer(&self, id: &RunId, answers: &Answers, who: &Person) -> Result<(), RunsError> {
        self.answer_questions(id, answers, who)
    }

    fn cancel(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        self.cancel_run(id, who)
    }

    fn resume(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        self.resume_run(id, who)
    }

    fn undo_plan(&self, id: &RunId, answers: &DoubtAnswers) -> Result<UndoPlan, RunsError> {
        self.plan_undo(id, answers)
    }

    fn undo(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        how: Undoing,
        who: &Person,
    ) -> Result<(), RunsError> {
        self.undo_run(id, answers, how, who)
    }

    fn sightings(&self) -> Result<Gathered, RunsError> {
        let rows = self.remote.runs()?.into_iter();
        let runs = rows.map(|row| {
            let stamp = row.ended_at.zip(row.outcome);
            RunStamp {
                run: row.id,
                stamp: stamp.map(|(at, outcome)| format!("{} {outcome}", at.as_millis())),
            }
        });
        let pruned = self.remote.pruned()?.into_iter();
        let pruned = pruned.filter_map(|pruned| Some((pruned.run, pruned.seen?)));
        // If no worker answers, the next run would wait as long for an answer, and get none.
        let mut is_away = None;
        Ok(gather(
            runs.collect(),
            pruned.collect(),
            &self.options.state,
            |run| match &is_away {
                Some(why) => Err(RunsError::new(
                    crate::Kind::Busy,
                    "engine",
                    String::clone(why),
                )),
                None => {
                    let read = self.reads.look(run, |read| State::clone(&read.state));
                    let away = read.as_ref().err().filter(|error| error.code == "engine");
                    is_away = away.map(|error| error.message.clone());
                    read
                }
            },
        ))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.pulse.changes()
    }

    fn tallies(&self) -> Tallies {
        // Workers do the work, so nothing is counted here.
        Tallies::default()
    }

    fn version(&self) -> Result<i64, RunsError> {
        self.pulse.count()
    }

    fn waits_for(&self, id: &RunId) -> Option<(String, String)> {
        let waits = self.remote.waits(id, now()).ok()?;
        waits.into_iter().next()
    }

    fn trouble(&self, id: &RunId) -> Option<String> {
        if let Some(gave_up) = self.remote.gave_up(id).ok()? {
            let error = DriveError::Locked {
                lock: gave_up.lock,
                run: gave_up.run,
                holder: HolderStands::Driven,
            };
            return Some(error.to_string());
        }
        let stuck = self.remote.stuck(id).ok()?;
        stuck.first().map(ToString::to_string)
    }

    fn stuck(&self) -> Result<Vec<StuckRun>, RunsError> {
        let mut runs: BTreeMap<RunId, StuckRun> = BTreeMap::new();
        for part in self.remote.all_stuck()? {
            let new = StuckRun {
                why: part.stuck.to_string(),
                is_paused: part.stuck.is_paused,
                since: part.since,
                run: part.run.clone(),
            };
            // Of several parts, the one that was paused first is named: others may be paused later for the same reason.
            let is_before =
                |known: &StuckRun| (!new.is_paused, &new.since) < (!known.is_paused, &known.since);
            if runs.get(&new.run).is_none_or(is_before) {
                runs.insert(part.run, new);
            }
        }
        Ok(runs.into_values().collect())
    }

    fn is_paused(&self, shown: &Shown) -> bool {
        let stuck = || self.remote.stuck(&shown.id).unwrap_or_default();
        shown.is_driven && stuck().iter().any(|stuck| stuck.is_paused)
    }

    fn cursor(&self, id: &RunId, seq: u64) -> Result<Cursor, RunsError> {
        Ok(self.reads.cursor(id, seq)?.unwrap_or_default())
    }

    fn revision(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        self.revision_of(id, changes)
    }

    fn resume_with(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
        who: &Person,
    ) -> Result<(), RunsError> {
        self.resume_revised(id, changes, shown, who)
    }

    fn answer_doubts(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        shown: Option<u64>,
        who: &Person,
    ) -> Result<(), RunsError> {
        self.resume_answered(id, answers, shown, who)
    }

    fn evidence(&self, id: &RunId) -> Result<Evidence, RunsError> {
        let row = self.remote.row(id)?;
        gathered(id, row.as_slice(), self.links(id)?, |edition| {
            self.files(id, edition)
        })
    }

    fn prunable(&self, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
        prunable_on(&self.remote, wanted)
    }

    fn pruned(&self) -> Result<Vec<Pruned>, RunsError> {
        self.pruned_runs()
    }

    fn prune(&self, wanted: &Retention, who: &Person) -> Result<Pruning, RunsError> {
        self.prune_runs(wanted, who)
    }

    fn locks(&self) -> Result<Vec<HeldLock>, RunsError> {
        let mut held = Vec::new();
        for (name, run) in self.remote.locks()? {
            let since = self
                .reads
                .look(&run, |read| read.locked.get(&name).copied());
            // The driver has the lock a moment before its events say so.
            let since = since?.unwrap_or_else(now);
            held.push(HeldLock { name, run, since });
        }
        Ok(held)
    }

    fn handshakes(&self, name: &str) -> Result<Handshakes, RunsError> {
        let targets = self.load_targets()?;
        let Some(target) = targets.find(name)? else {
            let message = "the rehearsal clusters of the target `local` belong to the workers";
            return Err(RunsError::wrong("target", message).hint(
                "serve rehearsal clusters with `windlass kube serve`, and name them in a target",
            ));
        };
        self.block_on(async { Asking::open(name, target).await?.look().await })
    }

    fn peers(&self) -> Option<&dyn Peers> {
        Some(self)
    }
}

/// What another machine than the workers' sees of a run.
pub fn sight_of(target: &str) -> Sight {
    match target {
        LOCAL => Sight::Uncertain,
        _ => Sight::WithoutFiles,
    }
}
