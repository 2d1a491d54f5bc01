use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{balancer::Balancer, server::Server, witness::Witness};
use crate::{
    client::Served,
    cluster::served::Clusters,
    crash::ARGUMENTS,
    harness::{self, Ends, Test},
};

/// How long anything may take before a test gives it up.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A folder, and what its target `t` reaches: a certificate authority with a witness before it, and clusters.
/// Nothing in it is the engine's, so that a run without one can be held against a run with one.
pub struct Site {
    pub test: Test,
    pub witness: Witness,
    clusters: Clusters,
    _served: Served,
}

/// A site, a server and its workers.
pub struct World {
    pub site: Site,
    pub servers: Arc<Mutex<Vec<Server>>>,
    pub workers: Arc<Mutex<Vec<Worker>>>,
    _balancer: Option<Balancer>,
}

/// The shipped rotation, whole, for one cluster, with keys that are made fast and nobody asked.
pub fn rotation() -> Vec<&'static str> {
    let run = ["run", "workflows/gloo-mesh.yaml", "--target", "t"];
    let decided = ["-p", "approve=false", "-p", "force=true"];
    [&run, ARGUMENTS.as_slice(), decided.as_slice()].concat()
}

/// A worker process that can be started again where it was.
pub struct Worker {
    child: Ends,
    folder: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    pub address: String,
}

impl Site {
    /// With the management cluster and the one that the crash suite's runs are for.
    pub fn new() -> Self {
        Self::of(&["a".into()])
    }

    /// With these workload clusters.
    pub fn of(clusters: &[String]) -> Self {
        let mut test = Test::with_shipped_workflows();
        // Where the local target would have it, so that the crash suite's questions find it.
        let served = Served::start_in(&test, ".windlass/pca", &[]);
        let names: Vec<_> = [&["mgmt".to_owned()], clusters].concat();
        let clusters = Clusters::serve(&test, &names, &[]);
        test.set("AWS_ACCESS_KEY_ID", "123456789012");
        test.set("AWS_SECRET_ACCESS_KEY", "x");
        let site = Self {
            witness: Witness::start(served.address()),
            clusters,
            _served: served,
            test,
        };
        site.target(&site.witness.address);
        site
    }

    /// Writes the target, with something else before the authority.
    pub fn target(&self, authority: &str) {
        let pca = format!("pca = {{ endpoint = \"http://{authority}\", region = \"us-east-1\" }}");
        let clusters = self.clusters.of_target();
        let text = format!("[targets.t]\n{pca}\n{clusters}");
        self.test.write("windlass.toml", &text);
    }
}

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl World {
    /// One server and some workers behind a balancer.
    pub fn new(workers: usize) -> Self {
        Self::at(Site::new(), |folder| vec![Server::start(folder)], workers)
    }

    pub fn at(mut site: Site, start: impl FnOnce(&Path) -> Vec<Server>, workers: usize) -> Self {
        let servers = start(&site.test.path("restate"));
        join(&mut site.test, &servers[0]);
        let world = Self {
            servers: Arc::new(Mutex::new(servers)),
            workers: Arc::default(),
            _balancer: None,
            site,
        };
        for _ in 0..workers {
            world.add_worker(&[], &[]);
        }
        world.register()
    }

    /// Starts another worker; it is registered only by [`World::register_at`].
    pub fn add_worker(&self, options: &[&str], environment: &[(&str, &str)]) -> String {
        let out: &[&str] = if options.contains(&"--out") {
            &[]
        } else {
            &["--out", "out"]
        };
        let worker = Worker::of(&self.test, &[out, options].concat(), environment);
        let address = worker.address.clone();
        self.workers.lock().expect("no panic").push(worker);
        address
    }

    /// Lets scripts on the target start a shell.
    pub fn allow_shell(&self) {
        let config = self.test.read("windlass.toml");
        self.test
            .write("windlass.toml", &format!("{config}exec = [\"sh\"]\n"));
    }

    /// Starts a command that a test does not wait for.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.test.command(arguments);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("windlass starts")
    }

    /// Kills what runs of a handler, in the engine itself.
    pub fn kill(&self, service: &str, handler: &str) {
        until("it is killed", || {
            let servers = self.servers.lock().expect("no panic");
            servers[0].kill_invocation(service, handler)
        });
    }

    fn register(mut self) -> Self {
        let workers = self.workers.lock().expect("no panic");
        let addresses: Vec<_> = workers.iter().map(|w| w.address.clone()).collect();
        drop(workers);
        if !addresses.is_empty() {
            let balancer = Balancer::start(addresses);
            self.register_at(&balancer.address);
            self._balancer = Some(balancer);
        }
        self
    }

    /// Registers an address as that of the workers.
    pub fn register_at(&self, address: &str) {
        let servers = self.servers.lock().expect("no panic");
        servers[0].register(address);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The witness's thread shares these, and outlives the test.
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Worker {
    /// Starts a worker in the folder of a test.
    pub fn of(test: &Test, options: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [&["worker"], options].concat();
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let environment = environment.iter();
        let environment = environment.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let mut worker = Self {
            child: idle(),
            folder: test.path(""),
            arguments,
            environment: environment.collect(),
            address: "127.0.0.1:0".into(),
        };
        worker.start();
        worker
    }

    /// Starts the process, at its address if it had one.
    pub fn start(&mut self) {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
            command
                .args(&self.arguments)
                .args(["--listen", &self.address])
                .current_dir(&self.folder)
                .env("AWS_ACCESS_KEY_ID", "123456789012")
                .env("AWS_SECRET_ACCESS_KEY", "x")
                .envs(self.environment.iter().cloned())
                .stderr(Stdio::null());
            let (child, line) = Ends::listening(&mut command);
            self.child = child;
            if let Some((_, address)) = line.split_once("://") {
                self.address = address.into();
                return;
            }
            // The port of the one before may not be free yet.
            let _ = self.child.0.wait();
        }
        panic!("a worker does not start at {}", self.address);
    }

    /// How much processor time the process has used, in ticks of the kernel's clock.
    pub fn ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.0.id());
        let stat = std::fs::read_to_string(path).expect("a process");
        let after = stat.rsplit(')').next().expect("fields");
        let fields: Vec<_> = after.split_whitespace().collect();
        let number = |i: usize| fields[i].parse::<u64>().expect("a number");
        number(11) + number(12)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.0.kill();
        let _ = self.child.0.wait();
        self.environment.clear();
    }

    /// `kill -9`, and another process in its place.
    pub fn replace(&mut self) {
        self.kill();
        self.start();
    }

    /// Another process in its place, with other options.
    pub fn replace_with(&mut self, options: &[&str]) {
        self.arguments = std::iter::once("worker")
            .chain(options.iter().copied())
            .map(Into::into)
            .collect();
        self.replace();
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
        assert!(self.child.0.wait().expect("ended").success());
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(Some(_)))
    }
}

fn idle() -> Ends {
    Ends(Command::new("true").spawn().expect("a process"))
}

/// Has a server drive the runs of a folder.
pub fn join(test: &mut Test, server: &Server) {
    test.set("WINDLASS_ON", "restate");
    test.set("WINDLASS_RESTATE", &server.ingress_url());
    test.set("WINDLASS_RESTATE_ADMIN", &server.admin_url());
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    harness::until(what, PATIENCE, is_so);
}
