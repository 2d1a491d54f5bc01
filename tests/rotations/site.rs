//! A mesh whose clusters, certificate authority and runs are all in this process, so that a look can stand between two
//! effects of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use windlass::{
    authority::{self, AccessKey},
    cluster::{Offline, Server, kubeconfig},
    compile::{Program, bind_params, clusters, compile, open, parse_argument},
    decide,
    execute::{self, Cancel, Ended, Settings, Silent, Stage},
    journal::{Event, Journal, NewRun, Outcome, RunId, State, Status, UndoStarted},
    mesh::{MeshOptions, member},
    outside::{Clients, Clusters, KubeClients, Opening, OutputFolder, PcaClient, embedded_cluster},
    runs::{self, Person, Wanted},
    script::STACK_BYTES,
    value::Value,
};

use super::eye::{Eye, Seen};

/// How fast the time of these meshes passes, where a row does not say it.
pub const DELAYS: &str = "mount=20ms,renew=150ms,stream=150ms,issue=20ms";
const POD_DELAY: Duration = Duration::from_millis(5);
/// Keys that are made fast.
const FAST: [&str; 3] = [
    "ca_key_algorithm=EC_prime256v1",
    "ca_signing_algorithm=SHA256WITHECDSA",
    "key_algorithm=EC_prime256v1",
];

pub struct Site {
    folder: TempDir,
    runtime: Runtime,
    clients: Clients,
    _authority: authority::Server,
}

/// How a run ended, and what was seen while it ran.
pub struct Ran {
    pub id: RunId,
    pub outcome: Option<Outcome>,
    pub state: State,
    pub seen: Seen,
}

/// Rehearsal clusters by role.
struct Served {
    folder: PathBuf,
    options: MeshOptions,
    servers: Arc<Mutex<BTreeMap<String, Server>>>,
}

impl Clusters for Served {
    fn open(&self, role: &str) -> Opening {
        let options = windlass::cluster::Options {
            pod_delay: POD_DELAY,
            ..member(&self.folder, role, Some(&self.options))
        };
        let (servers, role) = (self.servers.clone(), role.to_owned());
        Box::pin(async move {
            let server = Server::start(options).await.expect("a cluster starts");
            let access = server.access();
            servers.lock().unwrap().insert(role, server);
            embedded_cluster(&kubeconfig(&[access])).await
        })
    }
}

impl Site {
    /// Opens a mesh of these clusters beside the management cluster; more may join.
    pub fn new(names: &[String], options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .expect("a runtime");
        let is_given = |delay: &&str| {
            let (key, _) = delay.split_once('=').expect("a delay");
            !options.contains(&format!("{key}="))
        };
        let delays = DELAYS.split(',').filter(is_given);
        let options: Vec<_> = delays.chain([options]).collect();
        let options = options.join(",");
        let options: MeshOptions = options.parse().expect("options");
        let state = folder.path().join(".windlass");
        let key = AccessKey::random().expect("randomness");
        let of_authority = authority::Options {
            access_keys: vec![key.clone()],
            ..authority::Options::local(state.join("pca"))
        };
        let region = of_authority.region.clone();
        let started = runtime.block_on(authority::Server::start(of_authority));
        let authority = started.expect("the authority starts");
        let served = Served {
            folder: state.join("kube"),
            options,
            servers: Arc::default(),
        };
        let mut named: BTreeSet<String> = names.iter().cloned().collect();
        named.insert("mgmt".into());
        named.insert("cluster-3".into());
        let clients = Clients {
            pca: PcaClient::embedded(&authority.endpoint(), &region, (&key.id, &key.secret)),
            kube: KubeClients::new(served, named),
            files: OutputFolder::new(folder.path().join("out")),
            ..Clients::nowhere()
        };
        Self {
            folder,
            runtime,
            clients,
            _authority: authority,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the clusters are.
    pub fn clusters(&self) -> PathBuf {
        self.path().join(".windlass/kube")
    }

    fn state(&self) -> PathBuf {
        self.path().join(".windlass")
    }

    /// Runs a shipped workflow to its end.
    pub fn run(&self, file: &str, arguments: &[&str], eye: &Eye) -> Ran {
        self.run_part(file, arguments, BTreeSet::new(), eye, &Cancel::default())
    }

    /// Runs a workflow until it is cancelled.
    pub fn run_until(&self, file: &str, arguments: &[&str], eye: &Eye, cancel: &Cancel) -> Ran {
        self.run_part(file, arguments, BTreeSet::new(), eye, cancel)
    }

    /// Runs a workflow to the end of so many of its phases.
    pub fn run_phases(&self, file: &str, arguments: &[&str], count: usize, eye: &Eye) -> Ran {
        let program = program(file);
        let within = phases(file).into_iter().filter(|(_, at)| *at < count);
        let needed = within.map(|(step, _)| decide::steps_until(&program.workflow, &step));
        let chosen = needed.flat_map(|steps| steps.expect("a step")).collect();
        self.run_part(file, arguments, chosen, eye, &Cancel::default())
    }

    /// Runs some steps of a workflow, or all where none are chosen.
    fn run_part(
        &self,
        file: &str,
        arguments: &[&str],
        chosen: BTreeSet<String>,
        eye: &Eye,
        cancel: &Cancel,
    ) -> Ran {
        let program = program(file);
        let params = params(&program, arguments);
        let journal = Journal::open(&self.state()).expect("the journal");
        let beginning = runs::begin(Wanted {
            program: &program,
            file: Path::new(file),
            folder: self.path(),
            target: "local",
            kube: clusters(&program.workflow, &params).expect("clusters"),
            chosen,
            out: self.path().join("out").display().to_string(),
            params,
            requester: &tester(),
        })
        .unwrap_or_else(|error| panic!("{file} can't begin: {error}"));
        let new = NewRun {
            id: runs::new_id().unwrap_or_else(|error| panic!("{error}")),
            event: beginning.event,
            files: &program.files,
            at: beginning.at,
        };
        let run = journal.begin(new).expect("a run");
        let id = run.id().clone();
        let settings = self.settings(eye, cancel);
        let driven = execute::drive(run, &program, beginning.state, Vec::new(), settings);
        self.ended(id, driven, eye)
    }

    /// Undoes a run.
    pub fn undo(&self, file: &str, id: &RunId, eye: &Eye) -> Ran {
        self.undo_before(file, id, eye, Arc::new(eye.clone()))
    }

    /// Undoes a run whose calls pass this stage, and looks at the end.
    pub fn undo_before(&self, file: &str, id: &RunId, eye: &Eye, stage: Arc<dyn Stage>) -> Ran {
        let program = program(file);
        let journal = Journal::open(&self.state()).expect("the journal");
        let (run, state) = journal.adopt(id).expect("a run");
        let undo = vec![Event::UndoStarted(UndoStarted {
            requester: tester().name,
            via: None,
            error: None,
        })];
        let settings = Settings {
            stage: Some(stage),
            ..self.settings(eye, &Cancel::default())
        };
        let driven = execute::drive(run, &program, state, undo, settings);
        self.ended(id.clone(), driven, eye)
    }

    fn ended(
        &self,
        id: RunId,
        driven: impl Future<Output = Result<(Ended, State), execute::DriveError>>,
        eye: &Eye,
    ) -> Ran {
        let (ended, state) = self.runtime.block_on(driven).expect("driven");
        let outcome = match ended {
            Ended::Over(outcome) => Some(outcome),
            Ended::Waiting => None,
        };
        Ran {
            seen: eye.finish("the end"),
            id,
            outcome,
            state,
        }
    }

    fn settings(&self, eye: &Eye, cancel: &Cancel) -> Settings {
        Settings {
            clients: self.clients.clone(),
            max_parallel: 16,
            observer: Arc::new(Silent),
            cancel: cancel.clone(),
            waits_for_people: false,
            lock_timeout: None,
            clock: runs::now,
            jitter: || 0.0,
            stage: Some(Arc::new(eye.clone())),
        }
    }

    /// Takes ztunnel and all that goes through it out of a cluster: a mesh of sidecars alone.
    pub fn without_ambient(&self, names: &[String]) {
        for name in names {
            let cluster = Offline::open(member(&self.clusters(), name, None)).expect("a cluster");
            let gone = cluster.write(|it| {
                for (resource, namespace, own) in [
                    ("deployments.apps", "ratings", "ratings"),
                    ("daemonsets.apps", "istio-system", "ztunnel"),
                ] {
                    if let Some(found) = it.find(resource, namespace, own)? {
                        it.delete(resource, &found)?;
                    }
                }
                Ok(())
            });
            gone.expect("deleted");
        }
    }

    /// Opens the clusters, so that they are there before the first run.
    pub fn plant(&self, names: &[String]) {
        self.runtime.block_on(async {
            for name in names {
                self.clients.kube.client(name).await.expect("a cluster");
            }
        });
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, outcome: Outcome) -> Self {
        let errors = self.errors();
        assert_eq!(self.outcome, Some(outcome), "{errors:#?}");
        self
    }

    /// What failed, and why.
    pub fn errors(&self) -> Vec<String> {
        let failed = self.state.steps.iter();
        let failed = failed.filter(|(_, step)| step.status == Status::Failed);
        failed
            .map(|(id, step)| format!("{id}: {:?}", step.error))
            .collect()
    }
}

/// A shipped workflow.
fn program(file: &str) -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("workflows")
        .join(file);
    let mut opened = open(&path).unwrap_or_else(|why| panic!("{file}: {why}"));
    compile(&opened.main, &mut opened.folder).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn params(program: &Program, arguments: &[&str]) -> Value {
    let workflow = &program.workflow;
    let fast = FAST.into_iter().chain(["mount_delay=200ms"]);
    let is_known = |argument: &&str| {
        let name = argument.split('=').next().unwrap_or_default();
        workflow.params.contains_key(name)
    };
    let given: BTreeMap<_, _> = fast
        .filter(is_known)
        .chain(arguments.iter().copied())
        .map(|argument| parse_argument(workflow, argument).expect("a param"))
        .collect();
    Value::Map(bind_params(workflow, given).expect("params"))
}

fn tester() -> Person {
    Person {
        name: "tester".into(),
        via: None,
    }
}

/// The phases of a workflow, in their order.
pub fn phase_names(file: &str) -> Vec<String> {
    let program = program(file);
    let phases = program.workflow.phases.iter();
    phases.map(|phase| phase.name.clone()).collect()
}

/// The phase of each step of a workflow that has one, counted from 0.
pub fn phases(file: &str) -> BTreeMap<String, usize> {
    let program = program(file);
    let workflow = &program.workflow;
    let place = |name: &str| workflow.phases.iter().position(|phase| phase.name == name);
    workflow
        .steps()
        .filter_map(|(_, step)| {
            let phase = place(step.phase.as_deref()?)?;
            Some((step.name.as_str().to_owned(), phase))
        })
        .collect()
}
