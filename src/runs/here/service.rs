use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{log::Logs, rows::Rows};
use crate::{
    alone::only_one,
    answers::Answers,
    book::Book,
    clock::now,
    doubt::DoubtAnswers,
    drivers::{Drivers, Driving},
    error::RunsError,
    folds::{Cursor, Folds},
    foresee::Looks,
    library::{Library, WorkflowName},
    log::LogLine,
    programs::ProgramCache,
    prune::{Pruning, Retention, prunable},
    revise::{Changes, Revision},
    service::{
        Evidence, Filter, Listed, Page, Person, PlanDepth, Planned, Runs, Sent, Shown, StartWanted,
        Started, StuckRun, UndoPlan, Undoing, info,
    },
    tallies::Tallies,
    turns::Turns,
};
use windlass_compile::Program;
use windlass_inventory::{Gathered, RunStamp, gather};
use windlass_journal::{HeldLock, Journal, Link, Pruned, Record, RunId, RunInfo, RunLock, RunRow};
use windlass_mesh::{Handshakes, Matrix};
use windlass_targets::{LOCAL, Targets};
use windlass_world::value::Digest;

/// The settings of [`Here`].
pub struct HereOptions {
    pub state: PathBuf,
    /// The path of `windlass.toml`, and whether the user gave it.
    pub config: (PathBuf, bool),
    /// The folder with an output folder for each run, named after the run.
    pub out: PathBuf,
    pub library: Library,
    pub driving: Driving,
}

/// The runs in the state folder of this machine; this process drives the runs that are started here.
pub struct Here {
    pub(super) options: HereOptions,
    pub(super) journal: Journal,
    /// A separate connection, so that readers do not block runs.
    pub(super) reader: Journal,
    pub(super) drivers: Drivers,
    pub(super) folds: Folds,
    pub(super) rows: Rows,
    pub(super) programs: ProgramCache,
    pub(super) turns: Turns,
    pub(super) looks: Looks,
    pub(super) logs: Logs,
    /// The meshes of rehearsals that were checked, by the folder of their target.
    pub(super) matrices: Mutex<BTreeMap<PathBuf, Matrix>>,
    /// Prevents a second service; `None` for one that only reads.
    _lock: Option<RunLock>,
}

impl Here {
    /// Opens the state folder, and continues the runs that an earlier process drove here.
    ///
    /// # Errors
    /// A journal that can't be used. A single run that can't be continued is reported by [`Runs::trouble`].
    pub fn open(options: HereOptions) -> Result<Self, RunsError> {
        let this = Self::open_alone(options)?;
        for run in this.drivers.book().driven()? {
            match this.take_up_again(&run) {
                Ok(()) => {}
                // A person has resumed it in a terminal.
                Err(error) if error.code == "run-owned" => this.drivers.book().done(&run)?,
                Err(error) => this.drivers.troubled(&run, error),
            }
        }
        Ok(this)
    }

    /// Continues the runs whose journal could not be written for a while: the disk was full, or another process wrote.
    ///
    /// # Errors
    /// As [`Here::open`].
    pub fn continue_unwritten(&self) -> Result<(), RunsError> {
        for run in self.drivers.book().driven()? {
            if !self.drivers.tries_again(&run) {
                continue;
            }
            match self.take_up_again(&run) {
                // Its last calls have not ended yet, or a person has resumed it.
                Err(error) if error.code == "run-owned" => {}
                Err(error) => self.drivers.troubled(&run, error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Opens the state folder without continuing the runs that an earlier process drove.
    ///
    /// # Errors
    /// A journal that can't be used, or a service that is running already.
    pub fn open_alone(options: HereOptions) -> Result<Self, RunsError> {
        let journal = Journal::open(&options.state)?;
        let lock = only_one(&options.state)?;
        Self::with(options, journal, Some(lock))
    }

    /// Opens the state folder to read its runs, while other processes may drive them.
    ///
    /// # Errors
    /// A journal that can't be used.
    pub fn look(options: HereOptions) -> Result<Self, RunsError> {
        let journal = Journal::open(&options.state)?;
        Self::with(options, journal, None)
    }

    fn with(
        options: HereOptions,
        journal: Journal,
        lock: Option<RunLock>,
    ) -> Result<Self, RunsError> {
        let reader = Journal::open(&options.state)?;
        let book = Book::open(&options.state)?;
        let (config, was_asked_for) = (&options.config.0, options.config.1);
        // Mistakes in the configuration are reported before anything is started.
        Targets::load(config, was_asked_for)?;
        options.library.list()?;
        let drivers = Drivers::new(
            options.driving,
            &options.state,
            (config, was_asked_for),
            book,
        )?;
        Ok(Self {
            options,
            journal,
            reader,
            drivers,
            folds: Folds::default(),
            rows: Rows::default(),
            programs: ProgramCache::default(),
            turns: Turns::default(),
            looks: Looks::default(),
            logs: Logs::default(),
            matrices: Mutex::default(),
            _lock: lock,
        })
    }

    pub(super) fn exists(&self, id: &RunId) -> Result<bool, RunsError> {
        Ok(self.reader.has(id)?)
    }

    /// Returns an error for the id of a run that does not exist, or has been deleted.
    pub(super) fn refuse_missing(&self, id: &RunId) -> Result<(), RunsError> {
        if self.exists(id)? {
            return Ok(());
        }
        Err(match self.reader.refuse_pruned(id)? {
            Some(pruned) => pruned.into(),
            None => RunsError::no_run(id),
        })
    }

    /// Returns the program with which a run continues.
    pub(super) fn program(&self, id: &RunId, info: &RunInfo) -> Result<Arc<Program>, RunsError> {
        self.programs
            .of(info, |edition| Ok(self.reader.files(id, edition)?))
    }

    pub(super) fn load_targets(&self) -> Result<Targets, RunsError> {
        let (config, was_asked_for) = &self.options.config;
        Ok(Targets::load(config, *was_asked_for)?)
    }
}

impl Runs for Here {
    fn workflows(&self) -> Result<Vec<Listed>, RunsError> {
        self.options.library.compiled()
    }

    fn workflow(&self, name: &WorkflowName) -> Result<Program, RunsError> {
        Library::compile(&self.options.library.find(name)?)
    }

    fn targets(&self) -> Result<Vec<String>, RunsError> {
        let targets = self.load_targets()?;
        let mut names: BTreeSet<String> = targets.names().map(str::to_owned).collect();
        names.remove(LOCAL);
        Ok(std::iter::once(LOCAL.to_owned()).chain(names).collect())
    }

    fn list(&self, filter: &Filter) -> Result<Page, RunsError> {
        self.rows.list(&self.reader, &self.folds, filter)
    }

    fn run(&self, id: &RunId) -> Result<Shown, RunsError> {
        self.refuse_missing(id)?;
        // Asked before and after the state is read: a run that ends or is taken up in between does not look as if nobody drove it.
        let was_owned = self.reader.is_owned(id)?;
        let state = self.folds.state_of(&self.reader, id)?;
        let is_driven = state.outcome.is_none() && (was_owned || self.reader.is_owned(id)?);
        let info = info(&state)?.clone();
        Ok(Shown {
            id: id.clone(),
            program: self.program(id, &info)?,
            info,
            state,
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
        cursor.advance(&self.reader, id, each)
    }

    fn some_events(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        most: usize,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError> {
        cursor.advance_some(&self.reader, id, most, each)
    }

    fn plan(
        &self,
        wanted: &StartWanted,
        depth: PlanDepth,
        who: &Person,
    ) -> Result<Planned, RunsError> {
        self.planned(&|out| self.prepare(wanted, out, who), depth)
    }

    fn plan_sent(&self, sent: &Sent, depth: PlanDepth, who: &Person) -> Result<Planned, RunsError> {
        self.planned(&|out| self.prepare_sent(sent, out, who), depth)
    }

    fn start(
        &self,
        wanted: &StartWanted,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        match key {
            Some(key) => self.start_once(wanted, key, who),
            None => self.start_new(wanted, who),
        }
    }

    fn send(&self, sent: &Sent, key: Option<&str>, who: &Person) -> Result<Started, RunsError> {
        self.start_sent(sent, key, who)
    }

    fn files(&self, id: &RunId, edition: u32) -> Result<BTreeMap<String, Arc<str>>, RunsError> {
        self.refuse_missing(id)?;
        Ok(self.reader.files(id, edition)?)
    }

    fn links(&self, id: &RunId) -> Result<Vec<Link>, RunsError> {
        self.refuse_missing(id)?;
        self.reader.check_pages()?;
        Ok(self.reader.evidence(id)?)
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
        let runs = self.reader.stamps()?.into_iter();
        let runs = runs.map(|(run, stamp)| RunStamp {
            run,
            stamp: Some(stamp),
        });
        let read = |run: &RunId| self.reader.state_of(run);
        let kept = self.reader.seen_of_pruned()?;
        Ok(gather(runs.collect(), kept, &self.options.state, read))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.drivers.changes()
    }

    fn tallies(&self) -> Tallies {
        self.drivers.tallies()
    }

    fn version(&self) -> Result<i64, RunsError> {
        // Everything that this process writes goes through the other handle.
        Ok(self.reader.version()?)
    }

    fn waits_for(&self, id: &RunId) -> Option<(String, String)> {
        self.drivers.waits_for(id)
    }

    fn trouble(&self, id: &RunId) -> Option<String> {
        self.drivers.trouble(id)
    }

    fn stuck(&self) -> Result<Vec<StuckRun>, RunsError> {
        let mut stuck = Vec::new();
        for troubled in self.drivers.troubles() {
            let id = troubled.run;
            // Another process may have ended it, or may drive it.
            let is_idle = self.exists(&id)?
                && self.folds.state_of(&self.reader, &id)?.outcome.is_none()
                && !self.reader.is_owned(&id)?;
            if is_idle {
                stuck.push(StuckRun {
                    run: id,
                    why: troubled.why,
                    is_paused: !troubled.is_retried,
                    since: troubled.at.as_millis().to_string(),
                });
            }
        }
        Ok(stuck)
    }

    fn log(&self, id: &RunId) -> Result<Arc<Vec<LogLine>>, RunsError> {
        self.lines(id)
    }

    fn cursor(&self, id: &RunId, seq: u64) -> Result<Cursor, RunsError> {
        let before = match seq.checked_sub(1) {
            Some(before) => self.reader.digest_of(id, before)?,
            None => None,
        };
        Ok(match before {
            Some(digest) => Cursor::at(seq, digest),
            None => Cursor::default(),
        })
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
        self.gather(id)
    }

    fn prunable(&self, wanted: &Retention) -> Result<Vec<RunRow>, RunsError> {
        prunable(&self.reader, wanted)
    }

    fn pruned(&self) -> Result<Vec<Pruned>, RunsError> {
        Ok(self.reader.pruned()?)
    }

    fn prune(&self, wanted: &Retention, who: &Person) -> Result<Pruning, RunsError> {
        self.prune_runs(wanted, who)
    }

    fn locks(&self) -> Result<Vec<HeldLock>, RunsError> {
        Ok(self.reader.held_locks()?)
    }

    fn handshakes(&self, target: &str) -> Result<Handshakes, RunsError> {
        self.try_handshakes(target)
    }
}
