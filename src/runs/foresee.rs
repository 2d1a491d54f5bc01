//! Finds out about a target for a plan, before a run begins: runs the steps that only read, and tries those that change
//! something in Kubernetes as dry runs.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    sync::{Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};

use super::{aws::calls, clock::now, error::RunsError, preflight::Note, service::Planned};
use windlass_compile::Workflow;
use windlass_engine::{
    decide::trials,
    execute::{Looked, Obstacle, look, obstacles},
};
use windlass_journal::State;
use windlass_script::STACK_BYTES;
use windlass_targets::{Folders, OpenError, OpenTarget, Target, rehearsal_folder};
use windlass_world::outside::{
    AwsClient, Clients, HttpClient, KubeClients, PcaClient, SecretReader,
};

/// How many scripts of one plan run at once: API servers limit what one client asks.
const AT_ONCE: usize = 8;
/// Threads that wait for clusters and embedded servers.
const WORKERS: usize = 2;
/// Threads for what scripts wait for: the embedded servers, and looking up names.
const SPARE_THREADS: usize = 64;
/// How long a plan of a server may read from its target.
const LIMIT: Duration = Duration::from_secs(20);
/// How many plans of a server read from targets at once: each holds threads, and sends requests to API servers.
const PLACES: usize = 4;

/// A run that has not begun, and its place.
#[derive(Clone, Copy)]
pub struct Looking<'a> {
    pub target: Option<&'a Target>,
    pub folders: Folders<'a>,
    pub workflow: &'a Workflow,
    /// Holds nothing but the run's start.
    pub begun: &'a State,
    pub clusters: &'a BTreeSet<String>,
    /// When a look ends that is not done by then.
    pub until: Option<Instant>,
}

/// What dry runs found.
#[derive(Default)]
pub struct Tried {
    pub obstacles: Vec<Obstacle>,
    /// Whether the time was up before everything had been tried.
    pub is_cut_off: bool,
}

impl Looking<'_> {
    /// Runs the steps that only read, and returns where the run would stand after them: at its start if the target is a
    /// rehearsal that has not been used yet, because opening it would create its servers.
    ///
    /// # Errors
    /// An embedded server that can't start, a profile of AWS that does not exist, a CA bundle that can't be read.
    pub fn look(&self) -> Result<Looked, RunsError> {
        let rehearsal = rehearsal_folder(self.target, self.folders.state);
        if let Some(folder) = &rehearsal
            && !is_made(folder, self.clusters)
        {
            return Ok(Looked::nothing(self.begun));
        }
        let runtime = threads()?;
        let looked = runtime.block_on(async {
            if let (None, Some(target)) = (&rehearsal, self.target) {
                let clients = clients(target, self.workflow, self.clusters).await?;
                return Ok(self.follow(&clients).await);
            }
            let opened = OpenTarget::open(self.target, self.folders, self.clusters.clone()).await?;
            Ok(self.follow(&opened.clients).await)
        });
        runtime.shutdown_background();
        looked
    }

    async fn follow(&self, clients: &Clients) -> Looked {
        look(self.workflow, self.begun, clients, now(), self.until).await
    }

    /// Tries the steps whose inputs are known, by dry runs on the clusters of the target. `changing` leaves out the steps that only
    /// read: the run finds out about those in time.
    ///
    /// # Errors
    /// A profile of AWS that does not exist, a CA bundle that can't be read.
    pub fn dry_run(&self, changing: bool) -> Result<Tried, RunsError> {
        // Rehearsal clusters reject nothing that a run would not notice at once and undo.
        let target = self.target.filter(|target| target.mesh().is_none());
        let Some(target) = target.filter(|_| !self.clusters.is_empty()) else {
            return Ok(Tried::default());
        };
        let mut trials = trials(self.workflow, self.begun);
        trials.retain(|trial| {
            let calls = &trial.script.run_calls;
            let mut of_kube = calls
                .iter()
                .filter(|call| call.function.starts_with("kube::"));
            of_kube.any(|call| !changing || call.is_change())
        });
        if trials.is_empty() {
            return Ok(Tried::default());
        }
        let runtime = threads()?;
        let tried = runtime.block_on(async {
            let clients = clients(target, self.workflow, self.clusters).await?;
            let mut tried = Tried::default();
            while !trials.is_empty() {
                let some = trials.drain(..trials.len().min(AT_ONCE)).collect();
                let trying = obstacles(some, &clients);
                let found = match self.until {
                    None => Some(trying.await),
                    Some(until) => timeout_at(until.into(), trying).await.ok(),
                };
                let Some(found) = found else {
                    tried.is_cut_off = true;
                    break;
                };
                tried.obstacles.extend(found);
            }
            Ok(tried)
        });
        runtime.shutdown_background();
        tried
    }
}

/// Reads from targets for the plans of a server, whose clients wait for them: a limited number at once, each within a
/// time limit.
pub(crate) struct Looks {
    places: Semaphore,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            places: Semaphore::new(PLACES),
        }
    }
}

impl Looks {
    /// Completes a plan with what can be read from its target. Whatever could not be read in time stays open in the
    /// plan, and a note says so.
    ///
    /// # Errors
    /// As [`Looking::look`].
    pub fn complete(
        &self,
        mut planned: Planned,
        target: Option<&Target>,
        folders: Folders,
    ) -> Result<Planned, RunsError> {
        let until = Instant::now() + LIMIT;
        let Some(_place) = self.place()? else {
            planned.notes.push(cut_off());
            return Ok(planned);
        };
        let run = planned.state.run.clone();
        let clusters = run.map(|run| run.kube).unwrap_or_default();
        let looking = Looking {
            target,
            folders,
            workflow: &planned.program.workflow,
            begun: &planned.state,
            clusters: &clusters,
            until: Some(until),
        };
        let looked = looking.look()?;
        let tried = looking.dry_run(false)?;
        if looked.is_cut_off || tried.is_cut_off {
            planned.notes.push(cut_off());
        }
        planned.obstacles = together(looked.obstacles, tried.obstacles);
        planned.looked = looked.events;
        planned.state = looked.state;
        Ok(planned)
    }

    /// Waits for a place; `None` if there was none in time.
    fn place(&self) -> Result<Option<SemaphorePermit<'_>>, RunsError> {
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(RunsError::no_threads)?;
        let place = waiting.block_on(async { timeout(LIMIT, self.places.acquire()).await });
        Ok(place.ok().and_then(Result::ok))
    }
}

fn cut_off() -> Note {
    Note::Said(format!(
        "the target was read for {} s, which is the limit: the plan shows what was read in that time",
        LIMIT.as_secs()
    ))
}

/// Joins what was found about steps that only read, and by dry runs; what was found twice about a step is shown once.
pub fn together(mut looked: Vec<Obstacle>, tried: Vec<Obstacle>) -> Vec<Obstacle> {
    let mut tried = tried;
    tried.retain(|obstacle| !looked.iter().any(|other| other.step == obstacle.step));
    looked.append(&mut tried);
    looked
}

/// Opens the clients that steps of a run that has not begun may use.
async fn clients(
    target: &Target,
    workflow: &Workflow,
    clusters: &BTreeSet<String>,
) -> Result<Clients, RunsError> {
    let mut clients = Clients {
        kube: KubeClients::new(target.kube(), clusters.clone()),
        http: HttpClient::new(target.http.allow.clone()),
        secrets: SecretReader::new(AwsClient::nowhere()),
        ..Clients::nowhere()
    };
    if calls(workflow, "pca::") {
        let pca = PcaClient::connect(&target.pca).await;
        clients.pca = pca.map_err(OpenError::from)?;
    }
    Ok(clients)
}

/// Returns separate threads for a look, which may be abandoned while its scripts still run, and takes no threads from
/// runs.
fn threads() -> Result<Runtime, RunsError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(AT_ONCE + SPARE_THREADS)
        .thread_stack_size(STACK_BYTES)
        .thread_name("look")
        .enable_all()
        .build()
        .map_err(RunsError::no_threads)
}

/// Whether a rehearsal's servers were started before, so that starting them creates nothing new.
fn is_made(folder: &Path, clusters: &BTreeSet<String>) -> bool {
    let kube = folder.join("kube");
    folder.join("pca").is_dir() && clusters.iter().all(|cluster| kube.join(cluster).is_dir())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, path::PathBuf};

    use super::*;
    use crate::{Person, Wanted, begin};
    use windlass_compile::{Frozen, compile};
    use windlass_world::value::Value;

    #[test]
    fn a_look_ends_when_its_time_is_up_and_keeps_what_it_has_read() {
        // Takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("an address").port();
        let text = format!(
            "workflow: w\nsteps:\n  first: {{ run: \"#{{ n: 7 }}\" }}\n  second: {{ needs: [first], run: 'tls::chain(\"127.0.0.1\", {port})' }}\n"
        );
        let files = [("w.yaml".to_owned(), text.into())].into();
        let program = compile("w.yaml", &mut Frozen(files)).expect("a workflow");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = folder.path().join("state");
        // As if its embedded CA had been used.
        std::fs::create_dir_all(state.join("pca")).expect("made");
        let begun = begin(Wanted {
            program: &program,
            file: Path::new("w.yaml"),
            folder: Path::new(""),
            target: "local",
            kube: BTreeSet::new(),
            chosen: BTreeSet::new(),
            out: String::new(),
            params: Value::Map(Default::default()),
            requester: &Person {
                name: "alice".into(),
                via: None,
            },
        });
        let begun = begun.expect("begun");
        let (out, config): (PathBuf, PathBuf) = (folder.path().join("out"), PathBuf::new());
        let began = Instant::now();
        let looking = Looking {
            target: None,
            folders: Folders {
                out: &out,
                state: &state,
                config: &config,
                workflow: None,
            },
            workflow: &program.workflow,
            begun: &begun.state,
            clusters: &BTreeSet::new(),
            until: Some(began + Duration::from_secs(2)),
        };
        let looked = looking.look().expect("looked");
        assert!(looked.is_cut_off);
        assert!(
            began.elapsed() < Duration::from_secs(9),
            "it waits for nobody"
        );
        let outputs = looked.state.steps.values().map(|it| &it.outputs);
        assert!(
            outputs
                .clone()
                .any(|it| it.field("n") == Some(&Value::Int(7)))
        );
    }
}
