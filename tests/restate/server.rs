//! A real Restate server (or several that are one cluster) in a folder, on free ports.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server starts in half a second; CI is slow, and a cluster elects first.
const PATIENCE: Duration = Duration::from_secs(90);
/// Somebody else may take a free port before the server does.
const ATTEMPTS: usize = 5;

/// One server process.
pub struct Server {
    pub child: Option<Child>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    pub ingress: u16,
    pub admin: u16,
    pub node: u16,
}

impl Server {
    /// Starts a server of its own.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, "", &[])
    }

    /// As [`Server::start`], with more lines of configuration, and with variables.
    pub fn start_with(folder: &Path, more: &str, environment: &[(&str, &str)]) -> Self {
        for _ in 0..ATTEMPTS {
            let mut server = Self::new(folder, "n1");
            server.configure(&format!("auto-provision = true\n{more}"));
            let environment = environment.iter();
            let environment = environment.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            server.environment = environment.collect();
            server.spawn();
            if server.is_ready() {
                return server;
            }
        }
        panic!("no Restate server starts in {}", folder.display());
    }

    /// Starts three servers that are one cluster, each record on two of them.
    pub fn start_cluster(folder: &Path) -> Vec<Self> {
        for _ in 0..ATTEMPTS {
            let mut servers: Vec<_> = (1..=3)
                .map(|n| Self::new(&folder.join(format!("n{n}")), &format!("n{n}")))
                .collect();
            let addresses: Vec<_> = servers
                .iter()
                .map(|server| format!("\"http://127.0.0.1:{}\"", server.node))
                .collect();
            let addresses = addresses.join(", ");
            for (n, server) in servers.iter_mut().enumerate() {
                server.configure(&format!(
                    "auto-provision = {}\ndefault-replication = 2\n\
                     [metadata-client]\ntype = \"replicated\"\naddresses = [{addresses}]\n",
                    n == 0
                ));
                server.spawn();
            }
            if servers.iter_mut().all(Self::is_ready) {
                return servers;
            }
        }
        panic!("no Restate cluster starts in {}", folder.display());
    }

    fn new(folder: &Path, name: &str) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let ports: Vec<_> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
            .collect();
        let port = |i: usize| ports[i].local_addr().expect("an address").port();
        let server = Self {
            child: None,
            folder: folder.into(),
            environment: Vec::new(),
            ingress: port(0),
            admin: port(1),
            node: port(2),
        };
        server.write(name, "");
        server
    }

    fn write(&self, name: &str, more: &str) {
        let text = format!(
            "node-name = \"{name}\"\nbind-ip = \"127.0.0.1\"\nadvertised-host = \"127.0.0.1\"\nlisten-mode = \"tcp\"\nbind-port = {}\n\
             default-num-partitions = 4\ndisable-telemetry = true\nbase-dir = \"{}\"\n\
             rocksdb-total-memory-size = \"256 MB\"\nlog-disable-ansi-codes = true\n{more}\n\
             [admin]\nbind-port = {}\ndisable-web-ui = true\n\
             [ingress]\nbind-port = {}\n\
             [worker.invoker]\nhttp2-streams-per-connection-limit = 4\n",
            self.node,
            self.folder.join("data").display(),
            self.admin,
            self.ingress,
        );
        fs::write(self.folder.join("restate.toml"), text).expect("written");
        fs::write(self.folder.join("name"), name).expect("written");
    }

    fn configure(&mut self, more: &str) {
        let name = fs::read_to_string(self.folder.join("name")).expect("a name");
        self.write(&name, more);
    }

    /// Starts the process again, on what it had stored.
    pub fn spawn(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("server.log"))
            .expect("a log");
        let child = Command::new(binary())
            .arg("--config-file")
            .arg(self.folder.join("restate.toml"))
            .arg("--no-logo")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the server starts"));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until it takes requests. `false` if it ended instead.
    pub fn is_ready(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let has_ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
            if self.child.as_mut().is_none_or(has_ended) {
                return false;
            }
            if answers(self.admin, "/health") && answers(self.ingress, "/restate/health") {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("a Restate server is not ready: {}", self.folder.display());
    }

    /// Registers a worker's address, in place of whatever was there.
    pub fn register(&self, address: &str) {
        let (status, answer) = self.try_to_register(&format!("http://{address}"));
        assert!(matches!(status, 200 | 201), "{status}: {answer}");
    }

    /// Asks the server to use a worker; returns the status and the text of its answer.
    pub fn try_to_register(&self, url: &str) -> (u16, String) {
        let body = format!("{{\"uri\":\"{url}\",\"force\":true}}");
        post(self.admin, "/deployments", &body)
    }

    /// What the server said of itself since it was first started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).expect("a log")
    }

    /// The answer of the admin API to a query.
    pub fn query(&self, sql: &str) -> serde_json::Value {
        let query = serde_json::json!({ "query": sql }).to_string();
        let (status, answer) = post(self.admin, "/query", &query);
        assert_eq!(status, 200, "{answer}");
        let json = unchunked(&answer);
        serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// How many invocations are in a status.
    pub fn count(&self, status: &str) -> usize {
        let query =
            format!("{{\"query\":\"SELECT id FROM sys_invocation WHERE status = '{status}'\"}}");
        let (_, answer) = post(self.admin, "/query", &query);
        answer.matches("\"id\"").count()
    }

    /// The deployments that workers are registered as.
    pub fn deployments(&self) -> Vec<String> {
        let (_, answer) = request(self.admin, "GET", "/deployments", "");
        let ids = answer.split('"').filter(|text| text.starts_with("dp_"));
        ids.map(str::to_owned).collect()
    }

    /// How many invocations that are not over began on a deployment.
    pub fn unfinished_of(&self, deployment: &str) -> usize {
        let query = format!(
            "{{\"query\":\"SELECT id FROM sys_invocation WHERE status <> 'completed' \
             AND pinned_deployment_id = '{deployment}'\"}}"
        );
        let (_, answer) = post(self.admin, "/query", &query);
        answer.matches("\"id\"").count()
    }

    /// Whether something of a service that runs was told to stop.
    pub fn has_signal(&self, service: &str) -> bool {
        let query = format!(
            "{{\"query\":\"SELECT j.id FROM sys_journal j JOIN sys_invocation i ON i.id = j.id \
             WHERE i.target_service_name = '{service}' AND i.status <> 'completed' \
             AND j.entry_type LIKE '%Signal%'\"}}"
        );
        let (_, answer) = post(self.admin, "/query", &query);
        answer.contains("inv_")
    }

    /// Kills an invocation of a handler that runs, as an operator would. `false` if there is none.
    pub fn kill_invocation(&self, service: &str, handler: &str) -> bool {
        let query = format!(
            "{{\"query\":\"SELECT id FROM sys_invocation WHERE target_service_name = '{service}' \
             AND target_handler_name = '{handler}' AND status <> 'completed'\"}}"
        );
        let (_, answer) = post(self.admin, "/query", &query);
        let Some(id) = answer.split('"').find(|text| text.starts_with("inv_")) else {
            return false;
        };
        let (status, _) = request(self.admin, "PATCH", &format!("/invocations/{id}/kill"), "");
        status == 200
    }

    pub fn ingress_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ingress)
    }

    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn answers(port: u16, path: &str) -> bool {
    let Ok(mut connection) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = connection.set_read_timeout(Some(Duration::from_secs(2)));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let asked = connection.write_all(request.as_bytes());
    asked.is_ok()
        && connection.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// The server's program: RESTATE_SERVER, or what `tests/all` installs.
fn binary() -> PathBuf {
    if let Ok(path) = std::env::var("RESTATE_SERVER") {
        return path.into();
    }
    let modules =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/restate/node_modules/@restatedev");
    let packages = fs::read_dir(modules).into_iter().flatten().flatten();
    let mut found = packages
        .map(|package| package.path().join("bin/restate-server"))
        .filter(|path| path.is_file());
    found.next().expect(
        "a Restate server: npm install --ignore-scripts --prefix target/restate @restatedev/restate-server@1.7.12, \
         or RESTATE_SERVER=path",
    )
}

/// The content of a body that is sent in chunks, each after its length in hex.
fn unchunked(body: &str) -> String {
    let (mut rest, mut content) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        let (chunk, next) = after.split_at(length);
        content.push_str(chunk);
        rest = next.trim_start_matches("\r\n");
    }
    content
}

fn post(port: u16, path: &str, body: &str) -> (u16, String) {
    request(port, "POST", path, body)
}

/// Sends JSON and returns the answer's status and body.
fn request(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("the server");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or(0), body.to_owned())
}
