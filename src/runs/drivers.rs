use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Handle, Runtime},
    sync::watch,
};
use windlass_ground::{Timestamp, boxed, lock};

use super::{
    book::Book,
    clock,
    error::{Kind, RunsError},
    tallies::{Counted, Tallies},
};
use windlass_compile::Program;
use windlass_engine::execute::{self, Cancel, Ended, Observer, Settings};
use windlass_journal::{Event, InstanceId, Outcome, RunId, RunInfo, RunJournal, State};
use windlass_script::STACK_BYTES;
use windlass_targets::{Folders, OpenTarget, Targets};
use windlass_telemetry as telemetry;
use windlass_world::outside::jitter;

/// Drivers are tasks that mostly wait; scripts have their own threads.
const WORKERS: usize = 4;
/// As for a single run: each script holds a thread, and may need one more for work such as a key or a file, and one for the embedded server.
const THREADS_PER_SCRIPT: usize = 3;
const SPARE_THREADS: usize = 64;

/// How soon, and how rarely, it is tried again to drive a run whose journal could not be written.
const FIRST_TRY: Duration = Duration::from_secs(5);
const LAST_TRY: Duration = Duration::from_secs(600);

/// How runs are driven.
#[derive(Clone, Copy, Debug)]
pub struct Driving {
    /// How many steps of one run may run at once.
    pub max_parallel: u16,
    /// How many runs may be driven at once, including those that wait for people.
    pub max_runs: usize,
}

/// Drives runs, each in its own task.
pub struct Drivers {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
    shared: Arc<Shared>,
}

struct Shared {
    driving: Driving,
    state: PathBuf,
    config: PathBuf,
    is_config_asked_for: bool,
    book: Book,
    /// The runs that are driven.
    live: Mutex<BTreeSet<RunId>>,
    /// The number of places for runs that are about to be driven; it only increases while `live` is held.
    places: AtomicUsize,
    /// The reason why a run could not be driven further.
    troubles: Mutex<BTreeMap<RunId, (Trouble, Timestamp)>>,
    /// The last reason that was logged, also while the run is driven again.
    told: Mutex<BTreeMap<RunId, Trouble>>,
    /// How often in a row the journal of a run could not be written, and when it is tried again.
    unwritten: Mutex<BTreeMap<RunId, (u32, Instant)>>,
    /// For each waiting run: the lock, and the run that holds it.
    waits: Arc<Mutex<BTreeMap<RunId, (String, String)>>>,
    changed: watch::Sender<u64>,
    tallies: Arc<Mutex<Tallies>>,
}

/// Why a run could not be driven further.
#[derive(Clone, PartialEq, Eq)]
struct Trouble {
    code: &'static str,
    message: String,
}

/// A run that could not be driven further.
pub struct Troubled {
    pub run: RunId,
    pub why: String,
    pub at: Timestamp,
    /// Whether it is tried again, without a person.
    pub is_retried: bool,
}

/// A place among the runs that may be driven at once; dropping it frees the place.
pub struct RunPlace(Arc<Shared>);

impl Drop for RunPlace {
    fn drop(&mut self) {
        self.0.places.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A run that no other process drives, with its first events recorded.
pub struct Held {
    pub run: RunJournal,
    pub program: Arc<Program>,
    pub state: State,
}

impl Drivers {
    pub fn new(
        driving: Driving,
        state: &Path,
        config: (&Path, bool),
        book: Book,
    ) -> Result<Self, RunsError> {
        let threads = usize::from(driving.max_parallel) * THREADS_PER_SCRIPT * driving.max_runs;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(threads + SPARE_THREADS)
            .thread_stack_size(STACK_BYTES)
            .thread_name("run")
            .enable_all()
            .build()
            .map_err(RunsError::no_threads)?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            shared: Arc::new(Shared {
                driving,
                state: state.into(),
                config: config.0.into(),
                is_config_asked_for: config.1,
                book,
                live: Mutex::default(),
                places: AtomicUsize::new(0),
                troubles: Mutex::default(),
                told: Mutex::default(),
                unwritten: Mutex::default(),
                waits: Arc::default(),
                changed: watch::Sender::new(0),
                tallies: Arc::default(),
            }),
        })
    }

    pub fn book(&self) -> &Book {
        &self.shared.book
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Returns a handle to the threads of the runs, for code that needs the clients of a target.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn tallies(&self) -> Tallies {
        Tallies {
            driven: lock(&self.shared.live).len() as u64,
            ..lock(&self.shared.tallies).clone()
        }
    }

    pub fn waits_for(&self, run: &RunId) -> Option<(String, String)> {
        lock(&self.shared.waits).get(run).cloned()
    }

    pub fn trouble(&self, run: &RunId) -> Option<String> {
        let troubles = lock(&self.shared.troubles);
        troubles
            .get(run)
            .map(|(trouble, _)| trouble.message.clone())
    }

    /// Lists the runs that could not be driven further. Another process may have continued them since.
    pub fn troubles(&self) -> Vec<Troubled> {
        let unwritten = lock(&self.shared.unwritten).clone();
        let troubles = lock(&self.shared.troubles);
        let troubled = troubles.iter().map(|(run, (trouble, at))| Troubled {
            run: run.clone(),
            why: trouble.message.clone(),
            at: *at,
            is_retried: unwritten.contains_key(run),
        });
        troubled.collect()
    }

    /// Records why a run can't be driven further.
    pub fn troubled(&self, run: &RunId, error: RunsError) {
        self.shared.note(run, error);
    }

    /// Says whether it is time to try again to drive a run whose journal could not be written, which may pass.
    pub fn tries_again(&self, run: &RunId) -> bool {
        let is_live = lock(&self.shared.live).contains(run);
        let unwritten = lock(&self.shared.unwritten);
        !is_live
            && unwritten
                .get(run)
                .is_some_and(|(_, at)| *at <= Instant::now())
    }

    /// Reserves a place for one more run.
    ///
    /// # Errors
    /// All places are taken.
    pub fn place(&self) -> Result<RunPlace, RunsError> {
        let most = self.shared.driving.max_runs;
        let live = lock(&self.shared.live);
        let taken = self.shared.places.load(Ordering::Relaxed);
        if live.len() + taken < most {
            self.shared.places.fetch_add(1, Ordering::Relaxed);
            Ok(RunPlace(self.shared.clone()))
        } else {
            Err(RunsError::new(
                Kind::Busy,
                "busy",
                format!("{most} runs are being driven, which is the maximum"),
            )
            .hint("try again after one of them has ended, or raise --max-runs"))
        }
    }

    /// Drives a run in a reserved place, until it ends or can't continue.
    pub fn drive(&self, held: Held, place: Option<RunPlace>) {
        let (shared, id) = (self.shared.clone(), held.run.id().clone());
        lock(&shared.live).insert(id.clone());
        drop(place);
        lock(&shared.troubles).remove(&id);
        shared.changed.send_modify(|n| *n += 1);
        tracing::info!(run = %id, "the run is driven");
        self.handle().spawn(async move {
            let ended = shared.drive(held).await;
            let trouble = match ended {
                Ok(ended) => {
                    log_end(&id, ended);
                    lock(&shared.unwritten).remove(&id);
                    lock(&shared.told).remove(&id);
                    shared.book.done(&id).err()
                }
                // The run still belongs to this service: its next start tries again.
                Err(error) => Some(error),
            };
            if let Some(error) = trouble {
                shared.note(&id, error);
            }
            lock(&shared.live).remove(&id);
            lock(&shared.waits).remove(&id);
            shared.changed.send_modify(|n| *n += 1);
        });
    }

    /// Opens the target of a run as the run's driver does.
    #[boxed]
    pub async fn open(&self, info: &RunInfo) -> Result<OpenTarget, RunsError> {
        self.shared.open(info).await
    }
}

impl Drop for Drivers {
    fn drop(&mut self) {
        // A runtime that waits for its threads can't be dropped on one of them.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// Records why a run can't be driven further; the same reason is logged once.
    fn note(&self, run: &RunId, error: RunsError) {
        if error.code == "journal" && error.kind == Kind::Busy {
            let mut unwritten = lock(&self.unwritten);
            let times = unwritten.get(run).map_or(0, |(times, _)| times + 1);
            let pause = FIRST_TRY.saturating_mul(2_u32.saturating_pow(times));
            unwritten.insert(run.clone(), (times, Instant::now() + pause.min(LAST_TRY)));
        }
        let trouble = Trouble {
            code: error.code,
            message: error.message,
        };
        let known = lock(&self.told).insert(run.clone(), trouble.clone());
        if known.as_ref() != Some(&trouble) {
            let Trouble { code, message } = &trouble;
            tracing::error!(%run, code, error = message, "the run can't be driven any further");
        }
        let mut troubles = lock(&self.troubles);
        let since = match troubles.get(run) {
            Some((same, at)) if *same == trouble => *at,
            _ => clock::now(),
        };
        troubles.insert(run.clone(), (trouble, since));
    }

    async fn open(&self, info: &RunInfo) -> Result<OpenTarget, RunsError> {
        let targets = Targets::load(&self.config, self.is_config_asked_for)?;
        let target = targets.find(&info.target)?;
        let workflow = workflow_file(info);
        let folders = Folders {
            out: Path::new(&info.out),
            state: &self.state,
            config: &self.config,
            workflow: Some(&workflow),
        };
        Ok(OpenTarget::open(target, folders, info.kube.clone()).await?)
    }

    async fn drive(&self, held: Held) -> Result<Ended, RunsError> {
        let Held {
            run,
            program,
            state,
        } = held;
        let info = state.run.clone();
        let info = info.ok_or_else(|| RunsError::broken("journal", "the run was never started"))?;
        let open = self.open(&info).await?;
        let watcher = Watcher {
            id: run.id().clone(),
            waits: self.waits.clone(),
            changed: self.changed.clone(),
            tallies: self.tallies.clone(),
            counted: Mutex::new(Counted::of(&state)),
        };
        let settings = Settings {
            clients: open.clients.clone(),
            max_parallel: self.driving.max_parallel.into(),
            observer: telemetry::observing(run.id(), Arc::new(watcher)),
            cancel: Cancel::default(),
            waits_for_people: true,
            lock_timeout: None,
            stage: None,
            clock: clock::now,
            jitter,
        };
        let (ended, _) = execute::drive(run, &program, state, Vec::new(), settings).await?;
        Ok(ended)
    }
}

fn log_end(run: &RunId, ended: Ended) {
    match ended {
        Ended::Over(outcome @ (Outcome::Failed | Outcome::UndoFailed)) => {
            tracing::warn!(%run, outcome = outcome.as_str(), "the run has ended");
        }
        Ended::Over(outcome) => {
            tracing::info!(%run, outcome = outcome.as_str(), "the run has ended");
        }
        Ended::Waiting => tracing::info!(%run, "the run waits for an answer"),
    }
}

/// Returns the file of a run's workflow.
pub fn workflow_file(info: &RunInfo) -> PathBuf {
    Path::new(&info.folder).join(&info.file)
}

/// Signals changes of a run, and counts them.
struct Watcher {
    id: RunId,
    waits: Arc<Mutex<BTreeMap<RunId, (String, String)>>>,
    changed: watch::Sender<u64>,
    tallies: Arc<Mutex<Tallies>>,
    counted: Mutex<Counted>,
}

impl Observer for Watcher {
    fn happened(&self, events: &[Event], state: &State) {
        Tallies::count(&self.tallies, &self.counted, events, state);
        if events
            .iter()
            .any(|event| matches!(event, Event::LockTaken(_)))
        {
            lock(&self.waits).remove(&self.id);
        }
        self.changed.send_modify(|n| *n += 1);
    }

    fn doing(&self, _: &InstanceId, _: &str) {}

    fn waits_for(&self, name: &str, holder: &str) {
        let what = (name.to_owned(), holder.to_owned());
        lock(&self.waits).insert(self.id.clone(), what);
        self.changed.send_modify(|n| *n += 1);
    }

    fn held_up(&self, _: &str) {}
    fn said(&self, _: &InstanceId, _: &str) {}
}
