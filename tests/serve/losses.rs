//! Requests of a terminal whose answers are lost on the way back from the server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use super::server::{Served, with_people};
use crate::harness::{Ran, Test};

/// What becomes of requests whose first line has some part.
#[derive(Clone, Copy)]
enum Loses {
    /// The first one does not arrive.
    Request,
    /// The answer to the first one does not arrive.
    Answer,
    /// The same, and the later ones do not arrive: this is their answer.
    AnswerThen(&'static str),
}

/// A proxy that loses something once.
struct Losing {
    own: String,
    leads_to: Arc<Mutex<String>>,
    seen: Arc<AtomicUsize>,
}

impl Losing {
    fn new(part: &'static str, loses: Loses) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let own = listener.local_addr().expect("an address").to_string();
        let leads_to = Arc::<Mutex<String>>::default();
        let seen = Arc::<AtomicUsize>::default();
        let (address, count) = (leads_to.clone(), seen.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let address = address.lock().expect("whole").clone();
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(address)) else {
                    continue;
                };
                let count = count.clone();
                thread::spawn(move || pass(client, server, (part, loses), &count));
            }
        });
        Self {
            own,
            leads_to,
            seen,
        }
    }
}

fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    (part, loses): (&str, Loses),
    seen: &AtomicUsize,
) {
    let is_lost = Arc::<AtomicUsize>::default();
    let mut back = (
        server.try_clone().expect("cloned"),
        client.try_clone().expect("cloned"),
        is_lost.clone(),
    );
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = back.0.read(&mut bytes) {
            let is_lost = back.2.load(Ordering::SeqCst) > 0;
            if is_lost || back.1.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = back.0.shutdown(Shutdown::Both);
        let _ = back.1.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]);
        let first = text.lines().next().unwrap_or_default();
        if first.starts_with("POST ") && first.contains(part) {
            match (seen.fetch_add(1, Ordering::SeqCst), loses) {
                (0, Loses::Request) => {
                    let _ = client.shutdown(Shutdown::Both);
                    break;
                }
                (0, _) => is_lost.store(1, Ordering::SeqCst),
                (_, Loses::AnswerThen(answer)) => {
                    let _ = client.write_all(answer.as_bytes());
                    break;
                }
                _ => {}
            }
        }
        if server.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    if is_lost.load(Ordering::SeqCst) == 0 {
        let _ = server.shutdown(Shutdown::Both);
    }
}

const ASKS: &str = "workflow: asks
steps:
  gate: { approval: \"Restart all?\" }
";

/// A server behind such a proxy, and a terminal.
fn behind(proxy: &Losing) -> (Test, Served, Test) {
    let there = with_people(Test::new());
    let tokens = there.read("windlass.toml");
    let hosts = format!("[serve]\nhosts = [\"{}\"]\n", proxy.own);
    there.write("windlass.toml", &format!("{hosts}{tokens}"));
    let served = Served::start(&there);
    proxy
        .leads_to
        .lock()
        .expect("whole")
        .clone_from(&served.address);
    let fine = "workflow: fine\nsteps:\n  a: { run: '#{}' }\n";
    let here = Test::new().file("fine.yaml", fine).file("asks.yaml", ASKS);
    (there, served, here)
}

fn command(here: &Test, (proxy, served): (&Losing, &Served), arguments: &[&str]) -> Command {
    let mut command = here.command(arguments);
    command
        .env("WINDLASS_SERVER", format!("http://{}", proxy.own))
        .env("WINDLASS_TOKEN", &served.owner);
    command
}

fn runs(served: &Served) -> usize {
    let listed = served.get(&served.owner, "/api/v1/runs").expect(200).json();
    listed["runs"].as_array().expect("a list").len()
}

#[test]
fn a_start_whose_answer_is_lost_is_one_start() {
    let proxy = Losing::new("/api/v1/frozen", Loses::Answer);
    let (_there, served, here) = behind(&proxy);
    let mut run = command(&here, (&proxy, &served), &["run", "fine.yaml"]);
    Ran::from_output(run.output().expect("started")).expect(0);
    assert_eq!(proxy.seen.load(Ordering::SeqCst), 2);
    assert_eq!(runs(&served), 1);
}

#[test]
fn a_start_whose_answer_never_comes_may_have_been_made() {
    let gone = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let proxy = Losing::new("/api/v1/frozen", Loses::AnswerThen(gone));
    let (_there, served, here) = behind(&proxy);
    let mut run = command(&here, (&proxy, &served), &["run", "fine.yaml"]);
    let ran = Ran::from_output(run.output().expect("started")).expect(1);
    ran.says("it is not known whether the server carried out the request");
    ran.says("windlass runs");
    assert_eq!(runs(&served), 1, "it was made");
}

#[test]
fn a_cancel_that_is_lost_is_sent_again() {
    let proxy = Losing::new("/cancel ", Loses::Request);
    let (_there, served, here) = behind(&proxy);
    let mut run = command(&here, (&proxy, &served), &["run", "asks.yaml", "--wait"]);
    let mut run = run
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(run.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("Restart all?")));
    kill_process(Pid::from_child(&run), Signal::INT).expect("sent");
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert_eq!(run.wait().expect("ended").code(), Some(130), "{rest:#?}");
    assert!(
        rest.iter().any(|line| line.contains("it is asked again")),
        "{rest:#?}"
    );
    assert!(proxy.seen.load(Ordering::SeqCst) > 1);
}
