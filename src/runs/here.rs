use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    begin::{Wanted, begin},
    book::{Book, MAX_KEY},
    clock::{new_id, now},
    drivers::{Drivers, Driving, Held},
    error::RunsError,
    folds::{Cursor, Folds},
    library::{Library, WorkflowName},
    preflight::{Note, preflight},
    rules,
    service::{
        Ask, Filter, Listed, Page, Person, Planned, Row, Runs, Shown, StartWanted, Started, asks,
        status,
    },
    tallies::Tallies,
    turns::Turns,
};
use crate::{
    compile::{Frozen, Program, Workflow, bind_params, compile},
    decide,
    execute::{DriveError, UndoItem, undo_plan},
    inventory::{Inventory, RunStamp, collect},
    journal::{
        Decision, Event, InstanceId, Journal, JournalError, Message, NewRun, Record, RunId,
        RunInfo, RunJournal, RunLock, RunRow, State, Verdict,
    },
    outside::PcaClient,
    report,
    targets::{Folders, LOCAL, OpenError, Target, Targets},
    value::{Digest, Redactor, Value},
};

/// How many programs are kept: those of runs that people look at.
const PROGRAMS: usize = 64;

/// What [`Here`] stands on.
pub struct HereOptions {
    pub state: PathBuf,
    /// `windlass.toml`, and whether the user named it.
    pub config: (PathBuf, bool),
    /// Each run writes into a folder of its own in this one, named as the run.
    pub out: PathBuf,
    pub library: Library,
    pub driving: Driving,
}

/// The runs in the state folder of this machine; those that are started here are driven by this process.
pub struct Here {
    options: HereOptions,
    journal: Journal,
    /// A connection of its own, so that no reader holds up a run.
    reader: Journal,
    drivers: Drivers,
    folds: Folds,
    rows: Mutex<BTreeMap<RunId, Known>>,
    programs: Mutex<BTreeMap<Digest, Arc<Program>>>,
    turns: Turns,
    /// Keeps a second service out.
    _lock: RunLock,
}

/// What a list shows of a run beside its row, as of some event of it.
struct Known {
    stamp: String,
    is_driven: bool,
    /// When a question expires that changes it, in milliseconds since 1970.
    until: Option<i64>,
    status: &'static str,
    error: Option<String>,
    asks: Vec<Ask>,
}

impl Here {
    /// Opens the state folder, and takes up the runs that an earlier process drove from here.
    ///
    /// # Errors
    /// A journal that can't be used. A single run that can't be taken up is [`Runs::trouble`].
    pub fn open(options: HereOptions) -> Result<Self, RunsError> {
        let journal = Journal::open(&options.state)?;
        let reader = Journal::open(&options.state)?;
        let lock = only_one(&options.state)?;
        let book = Book::open(&options.state)?;
        let (config, was_asked_for) = (&options.config.0, options.config.1);
        // What is wrong there is told before anything is started.
        Targets::load(config, was_asked_for)?;
        options.library.list()?;
        let drivers = Drivers::new(
            options.driving,
            &options.state,
            (config, was_asked_for),
            book,
        )?;
        let this = Self {
            options,
            journal,
            reader,
            drivers,
            folds: Folds::default(),
            rows: Mutex::default(),
            programs: Mutex::default(),
            turns: Turns::default(),
            _lock: lock,
        };
        for run in this.drivers.book().driven()? {
            match this.take_up_again(&run) {
                Ok(()) => {}
                // Somebody resumed it at a terminal.
                Err(error) if error.code == "run-owned" => this.drivers.book().done(&run)?,
                Err(error) => this.drivers.troubled(&run, error),
            }
        }
        Ok(this)
    }

    /// Drives no run any more; they are taken up when the state folder is opened again.
    pub fn halt(&self) {
        self.drivers.halt();
    }

    /// Goes on with a run that this service drove when it ended.
    fn take_up_again(&self, id: &RunId) -> Result<(), RunsError> {
        // It was to begin, and its start was never answered.
        if !self.exists(id) {
            return self.drivers.book().done(id);
        }
        let mut held = self.take(id)?;
        if held.state.outcome.is_some() {
            return self.drivers.book().done(id);
        }
        let this = Person {
            name: "windlass serve".into(),
            via: None,
        };
        let is_cancelled = held.state.is_cancelled;
        let mut events = goes_on(&held.program.workflow, &held.state, &this);
        if is_cancelled {
            events.push(cancelled(&this));
        }
        record(&mut held, events)?;
        self.drivers.drive(held);
        Ok(())
    }

    fn exists(&self, id: &RunId) -> bool {
        let found = self.reader.find(Some(id.as_str()));
        found.is_ok_and(|found| found == *id)
    }

    /// Takes a run that nobody drives.
    fn take(&self, id: &RunId) -> Result<Held, RunsError> {
        if !self.exists(id) {
            return Err(RunsError::missing("no-such-run", format!("no run `{id}`")));
        }
        let (run, state) = self.journal.adopt(id)?;
        let program = self.program(id, info(&state)?)?;
        Ok(Held {
            run,
            program,
            state,
        })
    }

    /// Records what a run goes on with, and drives it.
    fn go(&self, mut held: Held, events: Vec<Event>) -> Result<(), RunsError> {
        self.drivers.refuse_too_many()?;
        self.drivers.book().drives(held.run.id())?;
        record(&mut held, events)?;
        self.drivers.drive(held);
        Ok(())
    }

    /// The program that a run goes on with.
    fn program(&self, id: &RunId, info: &RunInfo) -> Result<Arc<Program>, RunsError> {
        if let Some(program) = lock(&self.programs).get(&info.program) {
            return Ok(program.clone());
        }
        let files = self.reader.files(id, info.edition)?;
        let program = Arc::new(compile(&info.main, &mut Frozen(files))?);
        let mut programs = lock(&self.programs);
        if programs.len() >= PROGRAMS {
            programs.clear();
        }
        programs.insert(info.program, program.clone());
        Ok(program)
    }

    fn load_targets(&self) -> Result<Targets, RunsError> {
        let (config, was_asked_for) = &self.options.config;
        Ok(Targets::load(config, *was_asked_for)?)
    }

    /// Checks everything that a start needs, and makes its first event.
    fn prepare(
        &self,
        wanted: &StartWanted,
        out: &Path,
        who: &Person,
    ) -> Result<(Program, super::begin::Beginning, Vec<Note>), RunsError> {
        let file = self.options.library.find(&wanted.workflow)?;
        let program = Library::compile(&file)?;
        let params = Value::Map(bind_params(&program.workflow, wanted.params.clone())?);
        let targets = self.load_targets()?;
        let target = targets.find(&wanted.target)?;
        if target.is_some_and(|target| target.substrate.is_some()) {
            let message = format!(
                "the runs of target `{}` are driven by Restate",
                wanted.target
            );
            return Err(RunsError::wrong("engine", message)
                .hint("start it with `windlass run --target`; this server drives runs itself"));
        }
        let (kube, notes) = preflight(&targets, &program.workflow, &params, &wanted.target)?;
        self.connect_to_aws(target, &program.workflow)?;
        Folders {
            out,
            state: &self.options.state,
            config: &self.options.config.0,
            workflow: Some(&file),
        }
        .check()?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let beginning = begin(Wanted {
            program: &program,
            file: Path::new(file.file_name().unwrap_or_default()),
            folder: &folder,
            target: &wanted.target,
            kube,
            out: out.display().to_string(),
            params,
            requester: who,
        })?;
        Ok((program, beginning, notes))
    }

    /// Finds what is wrong with the AWS of a target before anything is recorded.
    fn connect_to_aws(
        &self,
        target: Option<&Target>,
        workflow: &Workflow,
    ) -> Result<(), RunsError> {
        let Some(target) = target else {
            return Ok(());
        };
        let mut calls = workflow.host_calls().into_iter();
        let asks_aws = calls.any(|call| call.function.starts_with("pca::"));
        if target.pca.account.is_none() && !asks_aws {
            return Ok(());
        }
        let connected = self
            .drivers
            .handle()
            .block_on(PcaClient::connect(&target.pca));
        connected.map(|_| ()).map_err(|e| OpenError::from(e).into())
    }

    /// Begins a run that has been prepared.
    fn begin(
        &self,
        id: &RunId,
        program: Program,
        beginning: super::begin::Beginning,
    ) -> Result<(), RunsError> {
        let beginning = beginning.with_secrets(|params| self.journal.digest_secrets(params))?;
        self.drivers.book().drives(id)?;
        let run = self.journal.begin(NewRun {
            id: id.clone(),
            event: beginning.event,
            files: &program.files,
            at: beginning.at,
        })?;
        self.drivers.drive(Held {
            run,
            program: Arc::new(program),
            state: beginning.state,
        });
        Ok(())
    }

    fn known(&self, row: &RunRow, stamp: &str, at: i64) -> Result<Known, RunsError> {
        let state = self.folds.state_of(&self.reader, &row.id)?;
        let asks = asks(&state, at);
        let error = report::errors(&state).into_iter().next();
        Ok(Known {
            stamp: stamp.to_owned(),
            is_driven: row.is_owned,
            until: asks.iter().filter_map(|ask| ask.deadline).min(),
            status: status(&state, row.is_owned, at),
            error: error.map(|(_, error)| error.headline()),
            asks,
        })
    }

    /// Completes a row by what only the events say.
    fn row(&self, row: RunRow, stamps: &BTreeMap<RunId, String>, at: i64) -> Row {
        let stamp = stamps.get(&row.id).map_or("", String::as_str);
        let mut rows = lock(&self.rows);
        let is_new = |known: &Known| {
            known.stamp == stamp
                && known.is_driven == row.is_owned
                && known.until.is_none_or(|until| at < until)
        };
        if !rows.get(&row.id).is_some_and(is_new) {
            // A run that can't be read is still one of the list.
            match self.known(&row, stamp, at) {
                Ok(known) => rows.insert(row.id.clone(), known),
                Err(error) => {
                    return Row {
                        status: row.status().to_owned(),
                        error: Some(error.message),
                        asks: Vec::new(),
                        run: row,
                    };
                }
            };
        }
        let known = rows.get(&row.id);
        Row {
            status: known.map_or_else(String::new, |known| known.status.to_owned()),
            error: known.and_then(|known| known.error.clone()),
            asks: known.map_or_else(Vec::new, |known| known.asks.clone()),
            run: row,
        }
    }
}

impl Runs for Here {
    fn workflows(&self) -> Result<Vec<Listed>, RunsError> {
        let listed = self.options.library.list()?.into_iter();
        let listed = listed.map(|(name, file)| Listed {
            name,
            program: Library::compile(&file),
            file,
        });
        Ok(listed.collect())
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
        let at = now();
        let stamps: BTreeMap<_, _> = self.reader.stamps()?.into_iter().collect();
        let mut page = Page {
            rows: Vec::new(),
            has_more: false,
        };
        for run in self.reader.runs()? {
            if !filter.takes_row(&run) {
                continue;
            }
            // The status of a run that has ended is in its row.
            let is_other = |status: &String| run.outcome.as_ref().is_some_and(|is| is != status);
            if filter.status.as_ref().is_some_and(is_other) {
                continue;
            }
            if filter.limit > 0 && page.rows.len() >= filter.limit {
                page.has_more = true;
                break;
            }
            let row = match run.outcome.as_deref() {
                // Why it failed is in its events.
                Some("failed" | "undo failed") if !filter.is_brief => self.row(run, &stamps, at),
                None => self.row(run, &stamps, at),
                Some(outcome) => Row {
                    status: outcome.to_owned(),
                    error: None,
                    asks: Vec::new(),
                    run,
                },
            };
            if filter
                .status
                .as_ref()
                .is_none_or(|status| row.status == *status)
            {
                page.rows.push(row);
            }
        }
        Ok(page)
    }

    fn run(&self, id: &RunId) -> Result<Shown, RunsError> {
        let state = self.folds.state_of(&self.reader, id)?;
        let info = info(&state)?.clone();
        Ok(Shown {
            id: id.clone(),
            program: self.program(id, &info)?,
            info,
            state,
            is_driven: self.reader.is_owned(id)?,
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

    fn plan(&self, wanted: &StartWanted, who: &Person) -> Result<Planned, RunsError> {
        let out = self.options.out.join("RUN");
        let (program, beginning, notes) = self.prepare(wanted, &out, who)?;
        Ok(Planned {
            program,
            state: beginning.state,
            notes,
        })
    }

    fn start(
        &self,
        wanted: &StartWanted,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        let started = |run: RunId| Started {
            run,
            is_repeated: false,
        };
        let Some(key) = key else {
            self.drivers.refuse_too_many()?;
            let id = new_id()?;
            let out = self.options.out.join(id.as_str());
            let (program, beginning, _) = self.prepare(wanted, &out, who)?;
            self.begin(&id, program, beginning)?;
            return Ok(started(id));
        };
        if key.is_empty() || key.len() > MAX_KEY {
            let message = format!("an idempotency key has 1 to {MAX_KEY} bytes");
            return Err(RunsError::wrong("idempotency-key", message));
        }
        let key = Digest::of(&[who.name.as_bytes(), key.as_bytes()]);
        let request = digest(wanted);
        let _turn = self.turns.take(key);
        let known = self.drivers.book().known(key)?;
        if let Some(known) = &known {
            if known.request != request {
                let message = "this idempotency key was used for another start";
                let hint =
                    "make a new key for each start, and send it again only to repeat that start";
                return Err(RunsError::conflict("idempotency-key", message).hint(hint));
            }
            if self.exists(&known.run) {
                return Ok(Started {
                    run: known.run.clone(),
                    is_repeated: true,
                });
            }
        }
        self.drivers.refuse_too_many()?;
        // A process that died may have claimed the key for a run that it never began.
        let id = known.map_or_else(new_id, |known| Ok(known.run))?;
        let out = self.options.out.join(id.as_str());
        let (program, beginning, _) = self.prepare(wanted, &out, who)?;
        self.drivers.book().claim(key, request, &id)?;
        self.begin(&id, program, beginning)?;
        Ok(started(id))
    }

    fn answer(
        &self,
        id: &RunId,
        step: &InstanceId,
        verdict: Verdict,
        shown: Option<Digest>,
        comment: Option<String>,
        who: &Person,
    ) -> Result<(), RunsError> {
        let run = self.run(id)?;
        let asked = run.state.instance(step).and_then(|i| i.approval.as_ref());
        let decision = Decision {
            step: step.to_string(),
            verdict,
            approver: who.name.clone(),
            via: who.via.clone(),
            comment,
            digest: shown
                .or(asked.map(|asked| asked.digest))
                .unwrap_or(Digest::ZERO),
        };
        let at = now();
        let workflow = &run.program.workflow;
        decide::on_answer(workflow, &run.state, id.as_str(), &decision, at)?;
        if self.journal.is_owned(id)? {
            return Ok(self.journal.post(id, &Message::Decide(decision), at)?);
        }
        // Nobody drives the run, so the answer goes into its journal at once, and the run goes on.
        let held = self.take(id)?;
        let workflow = &held.program.workflow;
        let answered = decide::on_answer(workflow, &held.state, id.as_str(), &decision, at)?;
        let mut events = goes_on(workflow, &held.state, who);
        events.push(answered);
        self.go(held, events)
    }

    fn cancel(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        let run = self.run(id)?;
        rules::refuse_cancel(id, &run.state)?;
        if self.journal.is_owned(id)? {
            let message = Message::Cancel {
                requester: who.name.clone(),
                via: who.via.clone(),
            };
            return Ok(self.journal.post(id, &message, now())?);
        }
        let held = self.take(id)?;
        let mut events = goes_on(&held.program.workflow, &held.state, who);
        events.push(cancelled(who));
        self.go(held, events)
    }

    fn resume(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        let held = self.take_idle(id, "it is running: there is nothing to resume")?;
        rules::refuse_resume(id, &held.program.workflow, &held.state, false)?;
        let events = goes_on(&held.program.workflow, &held.state, who);
        self.go(held, events)
    }

    fn undo_plan(&self, id: &RunId) -> Result<Vec<UndoItem>, RunsError> {
        let run = self.run(id)?;
        rules::refuse_undo(id, &run.state)?;
        let mut state = State::clone(&run.state);
        if state.outcome.is_some() || !state.is_undoing {
            let begins = undo_started(&Person {
                name: String::new(),
                via: None,
            });
            state.apply(&begins, now()).map_err(DriveError::from)?;
        }
        self.drivers.handle().block_on(async {
            let open = self.drivers.open(&run.info).await?;
            Ok(undo_plan(&run.program.workflow, &state, &open.clients).await)
        })
    }

    fn undo(&self, id: &RunId, who: &Person) -> Result<(), RunsError> {
        let held = self.take_idle(id, "it is running: cancel it first")?;
        rules::refuse_undo(id, &held.state)?;
        self.go(held, vec![undo_started(who)])
    }

    fn certificates(&self) -> Result<Inventory, RunsError> {
        let runs = self.reader.stamps()?.into_iter();
        let runs = runs.map(|(run, stamp)| RunStamp {
            run,
            stamp: Some(stamp),
        });
        let read = |run: &RunId| self.reader.state_of(run);
        Ok(collect(runs.collect(), &self.options.state, read))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.drivers.changes()
    }

    fn tallies(&self) -> Tallies {
        self.drivers.tallies()
    }

    fn stamp(&self) -> Result<u64, RunsError> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.reader.stamps()?.hash(&mut hasher);
        Ok(hasher.finish())
    }

    fn trouble(&self, id: &RunId) -> Option<String> {
        self.drivers.trouble(id)
    }
}

impl Here {
    /// As [`Here::take`]; says `why` where the run is driven now.
    fn take_idle(&self, id: &RunId, why: &str) -> Result<Held, RunsError> {
        self.take(id).map_err(|error| match error.code {
            "run-owned" => RunsError::conflict("run-owned", format!("run {id}: {why}")),
            _ => error,
        })
    }
}

impl Filter {
    /// Whether a run is listed, as far as its row says.
    fn takes_row(&self, run: &RunRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let has = |text: &String| {
            let parts = [run.id.as_str(), &run.workflow, &run.target];
            parts.iter().any(|part| part.contains(text.as_str()))
        };
        is(&self.workflow, &run.workflow)
            && is(&self.target, &run.target)
            && is(
                &self.requester,
                run.requester.as_deref().unwrap_or_default(),
            )
            && self.text.as_ref().is_none_or(has)
            && self.before.as_ref().is_none_or(|before| run.id < *before)
    }
}

/// Two services would both take up what an earlier one drove.
fn only_one(state: &Path) -> Result<RunLock, RunsError> {
    RunLock::take(state, &RunId::stored("serve".into())).map_err(|error| match error {
        JournalError::Owned { owner, .. } => {
            let message = format!(
                "process {owner} serves the runs in {} already",
                state.display()
            );
            RunsError::conflict("serve", message)
        }
        error => error.into(),
    })
}

/// What a run that stands still goes on with.
fn goes_on(workflow: &Workflow, state: &State, who: &Person) -> Vec<Event> {
    if state.is_undoing {
        return vec![undo_started(who)];
    }
    let mut events = decide::on_resume(workflow, state, &who.name);
    for event in &mut events {
        if let Event::RunResumed { via, .. } = event {
            via.clone_from(&who.via);
        }
    }
    events
}

fn undo_started(who: &Person) -> Event {
    Event::UndoStarted {
        requester: who.name.clone(),
        via: who.via.clone(),
    }
}

fn cancelled(who: &Person) -> Event {
    Event::RunCancelled {
        requester: who.name.clone(),
        via: who.via.clone(),
    }
}

/// Records events of a run that is held, so that they are durable before anybody is told.
fn record(held: &mut Held, events: Vec<Event>) -> Result<(), RunsError> {
    let (at, redactor) = (now(), Redactor::default());
    held.state.teach(&redactor);
    let mut recorded = Vec::new();
    for event in events {
        let event = event.redacted(&redactor);
        held.state.apply(&event, at).map_err(DriveError::from)?;
        recorded.push((event, at));
    }
    Ok(RunJournal::append(&held.run, recorded)?)
}

/// What a start asks for. A secret counts by its mask: a digest of a weak one could be guessed.
fn digest(wanted: &StartWanted) -> Digest {
    let params = Value::Map(wanted.params.clone()).digest();
    Digest::of(&[
        wanted.workflow.as_str().as_bytes(),
        wanted.target.as_bytes(),
        params.as_bytes(),
    ])
}

fn info(state: &State) -> Result<&RunInfo, RunsError> {
    let info = state.run.as_ref();
    info.ok_or_else(|| RunsError::from(JournalError::NoRun(String::new())))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
