use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use restate_sdk::{
    endpoint::{Endpoint, HandlerOptions, ServiceOptions},
    service::IntoServiceDefinition,
};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::{
    endpoint::{Listen, ServeError, Socket},
    index::Index,
    keyed::Keyed,
    lock::Lock,
    mail::Mail,
    pruned::PrunedRuns,
    run::Run,
    servers::{Delivery, Servers},
    step::Step,
    wire::Place,
};
use windlass_compile::{Frozen, Mistakes, Program, compile, digest_of};
use windlass_engine::execute::{Observer, former_edition};
use windlass_ground::{Timestamp, boxed, lock, random_bytes};
use windlass_journal::{RunId, Vault};
use windlass_script::{Fault, FrozenScript, ParsedScripts, Script};
use windlass_world::{outside::Clients, value::Digest};

/// How long Restate waits for a silent step before it suspends it, so that a step which sleeps longer holds no
/// thread.
const INACTIVITY: Duration = Duration::from_secs(20);
/// How long one call to the outside may take after that; a broken connection is noticed sooner, by Restate's pings.
const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause before Restate's first retry of what a dead worker left.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// How often a question is tried: within three seconds, as its sender waits for the answer.
const QUESTION_ATTEMPTS: u64 = 6;
const FOR_EVER: u64 = u32::MAX as u64;
/// How many programs are kept parsed.
const MAX_PROGRAMS: usize = 64;
/// How many scripts are: a program has some ten.
const MAX_SCRIPTS: usize = 512;

/// Creates the observer of a run.
pub type Observing = Box<dyn Fn(&RunId) -> Arc<dyn Observer> + Send + Sync>;

/// The settings of a worker.
pub struct WorkerOptions {
    pub listen: Listen,
    /// The folder with the identity of sealed secrets.
    pub state: PathBuf,
    /// How many scripts may run at once.
    pub max_parallel: usize,
    /// Restate's public keys; requests signed with other keys are rejected. If it is empty, all requests are accepted, which is
    /// only allowed on loopback.
    pub identity_keys: Vec<String>,
    /// How often Restate tries an invocation that workers could not finish before it pauses it.
    pub retries: u64,
    /// How long Restate keeps the records of invocations that are over.
    pub retention: Duration,
    pub opens: Box<dyn OpensTargets>,
    /// Creates the receiver of a run's events and of the calls of its attempts.
    pub observes: Observing,
    pub clock: fn() -> Timestamp,
}

/// Opens the targets of runs, by the worker's own configuration.
pub trait OpensTargets: Send + Sync {
    /// # Errors
    /// The reason why it can't, for Restate's log; Restate tries again.
    fn open<'a>(
        &'a self,
        target: &'a str,
        kube: &'a BTreeSet<String>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Opened, String>> + Send + 'a>>;
}

/// The clients of a target, and what must live as long as they are used.
pub struct Opened {
    pub clients: Clients,
    pub keeps: Box<dyn std::any::Any + Send + Sync>,
}

/// Serves Restate's calls.
pub struct Worker {
    socket: Socket,
    endpoint: Endpoint,
    stopping: Stopping,
    /// Whether the identity of sealed secrets is new, so that other workers must get it.
    pub has_new_identity: bool,
}

impl Worker {
    /// Opens the socket without serving yet.
    ///
    /// # Errors
    /// An address that is in use, or a certificate, a key or an identity that can't be used.
    #[boxed]
    pub async fn open(options: WorkerOptions) -> Result<Self, ServeError> {
        let vault = Vault::new(&options.state);
        let has_new_identity = vault.ensure_identity()?;
        let socket = Socket::open(&options.listen).await?;
        let mut builder = Endpoint::builder();
        for key in &options.identity_keys {
            builder = builder
                .identity_key(key)
                .map_err(|e| ServeError::Identity {
                    key: key.clone(),
                    why: e.to_string(),
                })?;
        }
        let service = ServiceOptions::new()
            .retry_policy_initial_interval(FIRST_RETRY)
            .retry_policy_exponentiation_factor(2.0)
            .retry_policy_max_interval(LONGEST_RETRY)
            .retry_policy_max_attempts(options.retries)
            .retry_policy_pause_on_max_attempts()
            .journal_retention(Duration::ZERO);
        let step = service
            .clone()
            .inactivity_timeout(INACTIVITY)
            .abort_timeout(LONGEST_CALL)
            .journal_retention(options.retention);
        // Messages between people and runs are retried without a limit: if one were paused, all messages after it would
        // wait without being noticed.
        let keeps_trying = service.clone().retry_policy_max_attempts(FOR_EVER);
        let drive = HandlerOptions::new().journal_retention(options.retention);
        // The sender of a question waits for the answer, and sends it again.
        let question = || {
            HandlerOptions::new()
                .retry_policy_initial_interval(FIRST_RETRY)
                .retry_policy_max_attempts(QUESTION_ATTEMPTS)
                .retry_policy_kill_on_max_attempts()
        };
        let step = step.handler("identity", question());
        let run_options = service.clone().handler("drive", drive);
        let run_options = run_options.handler("events", question());
        let run_options = run_options.handler("files", question());
        let run_options = run_options.handler("driver", question());
        // These change one row: Restate need not send all the others along.
        let rows = keeps_trying
            .clone()
            .enable_lazy_state(true)
            .handler("list", question().enable_lazy_state(false));
        let (index, pruned) = (rows.clone(), rows);
        let mail = keeps_trying.clone().handler("last", question());
        let keyed = keeps_trying.clone().handler("known", question());
        let servers = keeps_trying.clone().handler("triggers", question());
        let delivery = keeps_trying.clone();
        let stopping = Stopping::default();
        let shared = Arc::new(Shared {
            stopping: stopping.clone(),
            vault,
            clock: options.clock,
            opens: options.opens,
            observes: options.observes,
            room: Arc::new(Semaphore::new(options.max_parallel)),
            lives: AtomicU64::new(first_life()),
            targets: Mutex::default(),
            programs: Mutex::default(),
            scripts: Mutex::default(),
            parsed: ParsedScripts::default(),
        });
        let run = Run {
            worker: shared.clone(),
        };
        let endpoint = builder
            .bind(run.into_service_definition().options(run_options))
            .bind(
                Step { worker: shared }
                    .into_service_definition()
                    .options(step),
            )
            .bind(
                Mail {
                    clock: options.clock,
                }
                .into_service_definition()
                .options(mail),
            )
            .bind(Lock.into_service_definition().options(keeps_trying))
            .bind(Index.into_service_definition().options(index))
            .bind(PrunedRuns.into_service_definition().options(pruned))
            .bind(Keyed.into_service_definition().options(keyed))
            .bind(Servers.into_service_definition().options(servers))
            .bind(Delivery.into_service_definition().options(delivery))
            .build();
        Ok(Self {
            socket,
            endpoint,
            stopping,
            has_new_identity,
        })
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.socket.address
    }

    pub fn stopping(&self) -> Stopping {
        self.stopping.clone()
    }

    /// Serves until the future is dropped.
    #[boxed]
    pub async fn serve(self) {
        self.socket.serve(self.endpoint).await;
    }
}

/// Whether a worker stops. From then on, it reports no call to Restate: its programs are ended, and what they answer is not the result of
/// the call. Restate retries the attempts elsewhere when the connections of this process are closed.
#[derive(Clone, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// Must be called before anything that a call uses is ended.
    pub fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns at once, or never if the worker stops.
    pub(super) async fn unless_begun(&self) {
        if self.0.load(Ordering::SeqCst) {
            std::future::pending().await
        }
    }
}

/// Lives in different processes must have different numbers.
fn first_life() -> u64 {
    let mut bytes = [0; 8];
    match random_bytes(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => u64::from(std::process::id()) << 32,
    }
}

/// The data that the services of one worker share.
pub(super) struct Shared {
    pub stopping: Stopping,
    pub vault: Vault,
    pub clock: fn() -> Timestamp,
    pub observes: Observing,
    opens: Box<dyn OpensTargets>,
    room: Arc<Semaphore>,
    lives: AtomicU64,
    targets: Mutex<BTreeMap<Place, Arc<OnceCell<Opened>>>>,
    programs: Mutex<BTreeMap<Vec<u8>, Arc<Program>>>,
    scripts: Mutex<BTreeMap<Digest, Arc<Script>>>,
    parsed: ParsedScripts,
}

impl Shared {
    /// Opens a target, once for all steps that use it, without blocking other targets.
    #[boxed]
    pub async fn open(&self, place: &Place) -> Result<Clients, TargetError> {
        let target = {
            let mut targets = lock(&self.targets);
            targets.entry(place.clone()).or_default().clone()
        };
        let opening = || self.opens.open(&place.target, &place.kube);
        let opened = target.get_or_try_init(opening).await;
        let mut clients = opened
            .map(|open| open.clients.clone())
            .map_err(TargetError)?;
        clients.files = clients.files.of_worker();
        Ok(clients)
    }

    /// Waits until another script may run.
    pub async fn room(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.room.clone().acquire_owned().await.ok()
    }

    /// Returns the number of a new life of an invocation, different from all others.
    pub fn life(&self) -> u64 {
        self.lives.fetch_add(1, Ordering::Relaxed)
    }

    /// Parses a program once for all lives of all runs that use it.
    pub fn program(
        &self,
        Edition { main, files, .. }: Edition,
        former: Vec<Edition>,
    ) -> Result<Arc<Program>, Mistakes> {
        let mut key = main.as_bytes().to_vec();
        key.extend(digest_of(&files).as_bytes());
        for edition in &former {
            key.extend(digest_of(&edition.files).as_bytes());
        }
        let mut programs = lock(&self.programs);
        if let Some(program) = programs.get(&key) {
            return Ok(program.clone());
        }
        let program = compile(&main, &mut Frozen(texts(files)))?;
        let former = former.into_iter().filter_map(|former| {
            let workflow = former_edition(&former.main, texts(former.files))?;
            Some((former.number, workflow))
        });
        let program = Arc::new(program.following(former.collect()));
        if programs.len() >= MAX_PROGRAMS {
            programs.pop_first();
        }
        programs.insert(key, program.clone());
        Ok(program)
    }

    /// Parses a script once for all attempts that run it.
    pub fn script(&self, frozen: &FrozenScript) -> Result<Arc<Script>, Vec<Fault>> {
        let Ok(text) = serde_json::to_vec(frozen) else {
            return self.parsed.thaw(frozen).map(Arc::new);
        };
        let key = Digest::of_content(&text);
        if let Some(script) = lock(&self.scripts).get(&key) {
            return Ok(script.clone());
        }
        // Parsed without the lock: a long script does not stop attempts of others.
        let script = Arc::new(self.parsed.thaw(frozen)?);
        let mut scripts = lock(&self.scripts);
        if scripts.len() >= MAX_SCRIPTS {
            scripts.pop_first();
        }
        scripts.insert(key, script.clone());
        Ok(script)
    }
}

/// An edition of a run's files.
pub(super) struct Edition {
    pub number: u32,
    /// The path of the workflow's file.
    pub main: String,
    pub files: BTreeMap<String, String>,
}

fn texts(files: BTreeMap<String, String>) -> BTreeMap<String, Arc<str>> {
    let files = files.into_iter();
    files.map(|(path, text)| (path, text.into())).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("the target can't be opened: {0}")]
pub(super) struct TargetError(String);
