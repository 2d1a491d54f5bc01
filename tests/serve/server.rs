//! A server of a test, and a client that sends exactly the headers it is given.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value as Json;

use crate::harness::{Ends, Test, found, sha256};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until there is something, and gives it.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    found(what, PATIENCE, look)
}

/// Tokens of the configuration that tests have, and what each may do.
pub const ALICE: &str = "alice-0123456789abcdef0123456789abcdef";
pub const BOB: &str = "bob-0123456789abcdef0123456789abcdef00";
pub const VERA: &str = "vera-0123456789abcdef0123456789abcdef0";

/// A running `windlass serve`; it is killed when it is dropped.
pub struct Served {
    child: Ends,
    pub address: String,
    /// The token in the printed address.
    pub ticket: String,
    /// The token of who started it.
    pub owner: String,
    /// What it has said on stderr; it is read all the time, since a server waits for who reads its log.
    said: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A test with alice, who operates, bob, who approves, and vera, who looks.
pub fn with_people(test: Test) -> Test {
    let people = [
        (ALICE, "alice", "operator"),
        (BOB, "bob", "approver"),
        (VERA, "vera", "viewer"),
    ];
    let tokens = people.map(|(token, name, role)| {
        format!(
            "[[serve.tokens]]\nname = \"{name}\"\nsha256 = \"{}\"\nroles = [\"{role}\"]\n",
            sha256(token.as_bytes())
        )
    });
    test.file("windlass.toml", &tokens.concat())
}

impl Served {
    pub fn start(test: &Test) -> Self {
        Self::start_over(test, ".")
    }

    /// Starts a server for the workflows of a folder.
    pub fn start_over(test: &Test, workflows: &str) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--workflows", workflows];
        let (mut served, url) = Self::start_with(test, &serve);
        let (address, ticket) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once("/?token="))
            .unwrap_or_else(|| panic!("no address: {url:?}"));
        address.clone_into(&mut served.address);
        ticket.clone_into(&mut served.ticket);
        test.read(".windlass/serve.token")
            .trim()
            .clone_into(&mut served.owner);
        served
    }

    /// Starts a server that speaks TLS with `cert.pem` and `key.pem` of the test's folder, and gives its port on 127.0.0.1.
    pub fn start_with_tls(test: &Test) -> (Self, u16) {
        let listen = ["serve", "--listen", "127.0.0.1:0"];
        let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
        let (served, url) = Self::start_with(test, &[&listen[..], &tls].concat());
        let port = url.split("127.0.0.1:").nth(1);
        let port = port.and_then(|rest| rest.split('/').next()?.trim().parse().ok());
        let port = port.unwrap_or_else(|| panic!("no address: {url:?}"));
        (served, port)
    }

    /// Starts a server, and gives what it prints when it listens.
    pub fn start_with(test: &Test, arguments: &[&str]) -> (Self, String) {
        let mut command = test.command(arguments);
        let (mut child, url) = Ends::listening(command.stderr(Stdio::piped()));
        let said = Arc::<Mutex<String>>::default();
        let mut stderr = BufReader::new(child.0.stderr.take().expect("piped"));
        let kept = said.clone();
        let reading = thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
                kept.lock().expect("not poisoned").push_str(&line);
                line.clear();
            }
        });
        let served = Self {
            child,
            address: String::new(),
            ticket: String::new(),
            owner: String::new(),
            said,
            reading: Some(reading),
        };
        (served, url)
    }

    /// Sends SIGTERM, waits until it has gone, and gives what it said.
    pub fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
        let code = self.child.0.wait().expect("gone").code();
        if let Some(reading) = self.reading.take() {
            reading.join().expect("read");
        }
        let said = self.said();
        assert_eq!(code, Some(0), "{said}");
        said
    }

    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Gives what it has said so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    /// Sends `kill -9`.
    pub fn kill(mut self) {
        self.child.0.kill().expect("killed");
        self.child.0.wait().expect("gone");
    }

    /// Sends just these headers, and Host where they have none.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut stream = self.open(method, path, headers, body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answered {
            status: status.unwrap_or_else(|| panic!("no answer to {method} {path}: {answer:?}")),
            body: if head
                .to_ascii_lowercase()
                .contains("transfer-encoding: chunked")
            {
                unchunked(body)
            } else {
                body.to_owned()
            },
            head: head.to_owned(),
        }
    }

    /// Sends a request, and leaves the answer to be read.
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    }

    pub fn get(&self, token: &str, path: &str) -> Answered {
        self.send("GET", path, &[("Authorization", &bearer(token))], "")
    }

    pub fn post(&self, token: &str, path: &str, body: &Json) -> Answered {
        let bearer = bearer(token);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.send("POST", path, &headers, &body.to_string())
    }

    /// Asks for a run with an Idempotency-Key.
    pub fn start_once(&self, token: &str, key: &str, body: &Json) -> Answered {
        let bearer = bearer(token);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        self.send("POST", "/api/v1/runs", &headers, &body.to_string())
    }

    /// Starts a run, and gives its id.
    pub fn run(&self, token: &str, body: &Json) -> String {
        let started = self.post(token, "/api/v1/runs", body).expect(201).json();
        started["run"].as_str().expect("an id").to_owned()
    }

    /// Waits until a run has some status.
    pub fn wait(&self, run: &str, wanted: &str) -> Json {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self
                .get(&self.owner, &format!("/api/v1/runs/{run}"))
                .expect(200)
                .json();
            if shown["status"] == wanted {
                return shown;
            }
            assert!(Instant::now() < until, "it is not {wanted}: {shown:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Logs in with a token, as the form of the page does; gives the cookie.
    pub fn log_in(&self, token: &str) -> String {
        let origin = format!("http://{}", self.address);
        let headers = [
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = self.send("POST", "/login", &headers, &format!("token={token}"));
        answer.expect(303).cookie()
    }

    /// Sends a form of the page, as a browser does.
    pub fn submit(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answered {
        let origin = format!("http://{}", self.address);
        let headers = [
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", cookie),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.send("POST", path, &headers, &body)
    }

    /// Looks at a page with a browser's cookie.
    pub fn page(&self, cookie: &str, path: &str) -> Answered {
        self.send(
            "GET",
            path,
            &[("Cookie", cookie), ("Sec-Fetch-Site", "same-origin")],
            "",
        )
    }
}

impl Answered {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The cookie that it sets, as a browser sends it back.
    #[track_caller]
    pub fn cookie(&self) -> String {
        let set = self
            .header("set-cookie")
            .unwrap_or_else(|| panic!("no cookie: {}", self.head));
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Strict"),
            "{set}"
        );
        set.split(';').next().expect("a pair").to_owned()
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        text.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    text
}

/// Server-sent events, one after another.
pub struct Events {
    lines: BufReader<TcpStream>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    pub id: Option<u64>,
    pub name: String,
    pub data: String,
}

impl Events {
    pub fn open(server: &Served, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut lines = BufReader::new(server.open("GET", path, headers, ""));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a status");
        assert!(line.contains(" 200 "), "{line}");
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).expect("a header");
        }
        Self { lines }
    }
}

impl Iterator for Events {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        let mut sent = Sent::default();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            // Sizes of chunks stand between; no field is a bare hex number.
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => sent.id = id.parse().ok(),
                Some(("event", name)) => sent.name = name.to_owned(),
                Some(("data", data)) => sent.data = data.to_owned(),
                // As browsers do: without data, it is no event.
                _ if line == "\n" && sent.data.is_empty() => sent = Sent::default(),
                _ if line == "\n" => return Some(sent),
                _ => {}
            }
        }
    }
}

/// All the files below a folder, with what is in them.
pub fn contents(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path))
        } else {
            found.push(fs::read(&path).expect("readable"))
        }
    }
    found
}
