//! Each request to AWS Private CA fails once, or is granted and its answer lost.
//!
//! A proxy before the server does it: for the n-th request, and for the SDK's own retries of it, so
//! that the failure reaches the run.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    client::Served,
    crash::{ARGUMENTS, files, on_the_server},
    harness::Test,
};

/// The SDK tries a request this often.
const SDK_ATTEMPTS: usize = 4;
/// Most of the time is spent in the SDK's pauses.
const WORKERS: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    None,
    /// The connection is cut before the server hears of the request.
    Dropped,
    /// The connection is cut once the server has acted.
    Lost,
}

/// Stands before a server and makes trouble.
pub struct Proxy {
    pub address: String,
    pub requests: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn start(server: String, trouble: Trouble, at: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = requests.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), server, seen) = (client, server.clone(), seen.clone()) else {
                    return;
                };
                thread::spawn(move || {
                    let mut reader = BufReader::new(client);
                    while let Some(request) = read_request(&mut reader) {
                        let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
                        let is_hit = (at..at + SDK_ATTEMPTS).contains(&number);
                        let trouble = if is_hit { trouble } else { Trouble::None };
                        if trouble == Trouble::Dropped || (trouble == Trouble::Lost && number > at)
                        {
                            return;
                        }
                        let answer = forward(&server, &request);
                        if trouble == Trouble::Lost || reader.get_mut().write_all(&answer).is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }
}

/// One request, head and body.
pub fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut request = head.into_bytes();
    let body = request.len();
    request.resize(body + length, 0);
    reader.read_exact(&mut request[body..]).ok()?;
    Some(request)
}

/// Asks the server on a connection of its own, and reads its whole answer.
pub fn forward(server: &str, request: &[u8]) -> Vec<u8> {
    let connection = TcpStream::connect(server).expect("the server");
    (&connection).write_all(request).expect("asked");
    let mut reader = BufReader::new(connection);
    read_request(&mut reader).expect("an answer")
}

struct World {
    test: Test,
    _served: Served,
    proxy: Proxy,
}

impl World {
    fn new(trouble: Trouble, at: usize) -> Self {
        let test = Test::with_shipped_workflows();
        // Where the local target would have it, so that the crash suite's questions find it.
        let served = Served::start_in(&test, ".windlass/pca", &[]);
        let proxy = Proxy::start(served.address().to_owned(), trouble, at);
        test.write(
            "windlass.toml",
            &format!(
                "[targets.t]\npca = {{ endpoint = \"http://{}\", region = \"us-east-1\" }}\n",
                proxy.address
            ),
        );
        Self {
            test,
            _served: served,
            proxy,
        }
    }

    fn windlass(&self, arguments: &[&str], codes: &[i32]) -> i32 {
        let mut command = self.test.command(arguments);
        let output = command
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .output()
            .expect("windlass starts");
        let code = output.status.code().unwrap_or(-1);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(codes.contains(&code), "exit {code}: {stderr}");
        code
    }

    fn run(&self, codes: &[i32]) -> i32 {
        let run = ["run", "workflows/gloo-mesh.yaml", "--target", "t"];
        self.windlass(&[&run, ARGUMENTS.as_slice()].concat(), codes)
    }

    fn made(&self) -> [Vec<String>; 3] {
        [
            on_the_server(&self.test, "SELECT kind || ' ' || status FROM authority"),
            on_the_server(&self.test, "SELECT template FROM certificate"),
            files(&self.test).into_keys().collect(),
        ]
    }
}

#[test]
fn every_request_fails_or_loses_its_answer_once() {
    let whole = World::new(Trouble::None, usize::MAX / 2);
    whole.run(&[0]);
    let (wanted, requests) = (whole.made(), whole.proxy.requests.load(Ordering::SeqCst));
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::SeqCst);
                    let at = turn / 3 + 1;
                    if at > requests {
                        return;
                    }
                    let trouble = [Trouble::Dropped, Trouble::Lost, Trouble::Lost][turn % 3];
                    let world = World::new(trouble, at);
                    let code = world.run(&[0, 1]);
                    failed.fetch_add(code as usize, Ordering::SeqCst);
                    if turn % 3 == 2 {
                        world.windlass(&["undo", "--yes"], &[0]);
                        let left = on_the_server(
                            &world.test,
                            "SELECT arn FROM authority WHERE status <> 'DELETED'",
                        );
                        assert!(left.is_empty(), "CAs left after request {at}: {left:?}");
                        assert!(files(&world.test).is_empty());
                    } else {
                        if code == 1 {
                            world.windlass(&["resume"], &[0]);
                        }
                        assert_eq!(world.made(), wanted, "{trouble:?} request {at}");
                    }
                }
            });
        }
    });
    println!(
        "requests made to fail: {requests}, each dropped, lost and resumed, lost and undone; {} runs failed; CAs orphaned: 0, effects done twice: 0",
        failed.into_inner()
    );
}
