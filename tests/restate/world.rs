use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{balancer::Balancer, server::Server, witness::Witness};
use crate::{client::Served, harness::Test};

/// How long anything may take before a test gives it up.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A folder, a certificate authority with a witness before it, a server and its workers.
pub struct World {
    pub test: Test,
    pub witness: Witness,
    pub servers: Arc<Mutex<Vec<Server>>>,
    pub workers: Arc<Mutex<Vec<Worker>>>,
    _balancer: Option<Balancer>,
    _served: Served,
}

/// A worker process that can be started again where it was.
pub struct Worker {
    child: Child,
    folder: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    pub address: String,
}

impl World {
    /// One server and some workers behind a balancer.
    pub fn new(workers: usize) -> Self {
        Self::on(|folder| vec![Server::start(folder)], workers, &[])
    }

    pub fn on(
        start: impl FnOnce(&std::path::Path) -> Vec<Server>,
        workers: usize,
        options: &[&str],
    ) -> Self {
        let mut test = Test::with_shipped_workflows();
        // Where the local target would have it, so that the crash suite's questions find it.
        let served = Served::start_in(&test, ".windlass/pca", &[]);
        let witness = Witness::start(served.address());
        write_target(&test, &witness.address);
        let servers = start(&test.path("restate"));
        test.set("AWS_ACCESS_KEY_ID", "123456789012");
        test.set("AWS_SECRET_ACCESS_KEY", "x");
        test.set("WINDLASS_ON", "restate");
        test.set("WINDLASS_RESTATE", &servers[0].ingress_url());
        test.set("WINDLASS_RESTATE_ADMIN", &servers[0].admin_url());
        let world = Self {
            witness,
            servers: Arc::new(Mutex::new(servers)),
            workers: Arc::default(),
            _balancer: None,
            _served: served,
            test,
        };
        for _ in 0..workers {
            world.add_worker(options, &[]);
        }
        world.register()
    }

    /// Starts another worker; it is registered only by [`World::register_at`].
    pub fn add_worker(&self, options: &[&str], environment: &[(&str, &str)]) -> String {
        let mut arguments: Vec<String> = ["worker", "--out", "out"].map(Into::into).into();
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        let environment = environment.iter();
        let environment = environment.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let mut worker = Worker {
            child: idle(),
            folder: self.test.path(""),
            arguments,
            environment: environment.collect(),
            address: "127.0.0.1:0".into(),
        };
        worker.start();
        let address = worker.address.clone();
        self.workers.lock().expect("no panic").push(worker);
        address
    }

    /// Puts something else before the authority, for scripts.
    pub fn target(&self, address: &str) {
        write_target(&self.test, address);
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

    /// A world for comparison: the same without an engine.
    pub fn embedded() -> (Test, Served, Witness) {
        let mut test = Test::with_shipped_workflows();
        let served = Served::start_in(&test, ".windlass/pca", &[]);
        let witness = Witness::start(served.address());
        write_target(&test, &witness.address);
        test.set("AWS_ACCESS_KEY_ID", "123456789012");
        test.set("AWS_SECRET_ACCESS_KEY", "x");
        (test, served, witness)
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
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut child = command.spawn().expect("a worker starts");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("piped"))
                .read_line(&mut line)
                .expect("readable");
            self.child = child;
            if let Some(address) = line.trim().strip_prefix("http://") {
                self.address = address.into();
                return;
            }
            // The port of the one before may not be free yet.
            let _ = self.child.wait();
        }
        panic!("a worker does not start at {}", self.address);
    }

    /// `kill -9`, and another process in its place.
    pub fn replace(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.environment.clear();
        self.start();
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn idle() -> Child {
    Command::new("true").spawn().expect("a process")
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn write_target(test: &Test, authority: &str) {
    test.write(
        "windlass.toml",
        &format!(
            "[targets.t]\npca = {{ endpoint = \"http://{authority}\", region = \"us-east-1\" }}\n"
        ),
    );
}
