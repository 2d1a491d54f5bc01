//! The terminal that talks to a server: the same commands, the same words.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::json;

use super::{
    door::certify,
    server::{ALICE, BOB, Served, VERA, with_people},
};
use crate::harness::{Ran, Test, fed};

const FLOW: &str = "workflow: flow
params:
  names: { type: list(string), default: [a, b] }
  token: { type: secret }
steps:
  each:
    for_each: ${{ params.names }}
    with: { name: \"${{ item }}\", token: \"${{ params.token }}\" }
    run: |
      log::info(\"hello \" + inputs.name);
      file::write(inputs.name + \".txt\", \"x\");
      #{ name: inputs.name, token: inputs.token }
  last:
    script: steps/last.rhai
    needs: [each]
outputs:
  names: ${{ params.names }}
  token: ${{ params.token }}
  n: ${{ steps.last.n }}
";

const RUN: [&str; 4] = ["run", "flow.yaml", "-p", "token=t0ps3cret"];

const LAST: &str = "const OUTPUTS = #{ n: \"int\" };\nfn run(inputs) { #{ n: 7 } }\n";

const FAILS: &str = "workflow: fails
steps:
  good: { run: \"file::write(\\\"x.txt\\\", \\\"x\\\"); #{}\" }
  bad: { run: \"let x = 1;\\nthrow \\\"no such thing\\\"\", needs: [good] }
";

const ASKS: &str = "workflow: asks
steps:
  gate: { approval: \"Restart all?\" }
  after: { needs: [gate], run: \"#{}\" }
";

/// A server's folder, and one where nothing is but what a person has at a terminal.
pub(super) struct Two {
    pub there: Test,
    pub served: Served,
    pub here: Test,
}

fn files(test: Test) -> Test {
    test.file("flow.yaml", FLOW)
        .file("steps/last.rhai", LAST)
        .file("fails.yaml", FAILS)
        .file("asks.yaml", ASKS)
}

impl Two {
    pub fn new() -> Self {
        let there = files(with_people(Test::new()));
        let served = Served::start(&there);
        Self {
            there,
            served,
            here: files(Test::new()),
        }
    }

    fn command(&self, token: &str, arguments: &[&str]) -> std::process::Command {
        let mut command = self.here.command(arguments);
        command
            .env("WINDLASS_SERVER", format!("http://{}", self.served.address))
            .env("WINDLASS_TOKEN", token);
        command
    }

    pub fn windlass(&self, token: &str, arguments: &[&str]) -> Ran {
        let output = self.command(token, arguments).output();
        Ran::from_output(output.expect("windlass starts"))
    }

    /// What differs must: ids, times, digests, where it is kept, and who asked for it.
    fn same(&self, text: &str) -> String {
        let url = format!("http://{}", self.served.address);
        let text = text
            .replace(&format!(" --server {url}"), "")
            .replace(".windlass/journal.db", "WHERE")
            .replace("in .windlass", "at WHERE")
            .replace(" (the server's token, header, from 127.0.0.1)", "")
            .replace(&url, "WHERE")
            .replace("tester", "WHO");
        let rules = [
            (r"\d{8}-\d{9}-[a-z0-9]{6}", "RUN"),
            // Results are cut where a longer folder shows less of them.
            (r#""path":"[^"]*.*"#, "CUT"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
            (r"TIME\.\d+", "TIME"),
            (r"\d\d:\d\d:\d\d(\.\d+)?", "TIME"),
            // One of the two runs may have had to wait for the machine.
            (r" \([^()]* with waits\)", ""),
            (r"\b\d+(\.\d+)?(ms|s)\b", "LONG"),
            (r"\b1[78]\d{11}\b", "MS"),
            (r"[0-9a-f]{64}", "DIGEST"),
        ];
        rules.iter().fold(text, |text, (rule, name)| {
            regex_lite::Regex::new(rule)
                .expect("a rule")
                .replace_all(&text, *name)
                .into_owned()
        })
    }
}

/// Runs a command here, and on a server, and holds what they print to be the same.
pub(super) fn hold_equal(two: &Two, arguments: &[&str], code: i32) {
    let here = two.here.windlass(arguments).expect(code);
    let owner = two.served.owner.clone();
    let there = two.windlass(&owner, arguments).expect(code);
    let sorted = |text: &str| {
        // Steps that run side by side end in any order.
        let mut lines: Vec<_> = text.lines().map(str::trim_end).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(&two.same(&here.stdout)),
        sorted(&two.same(&there.stdout)),
        "stdout of {arguments:?}"
    );
    assert_eq!(
        sorted(&two.same(&here.stderr)),
        sorted(&two.same(&there.stderr)),
        "stderr of {arguments:?}"
    );
}

#[test]
fn a_server_prints_what_this_machine_prints() {
    let two = Two::new();
    hold_equal(&two, &["runs"], 0);
    hold_equal(&two, &RUN, 0);
    for arguments in [
        &["runs"][..],
        &["show"],
        &["show", "flow"],
        &["outputs"],
        &["outputs", "--json"],
        &["outputs", "flow", "names"],
        &["logs"],
        &["logs", "flow", "last"],
        &["audit"],
        &["undo", "--plan"],
    ] {
        hold_equal(&two, arguments, 0);
    }
    hold_equal(&two, &["show", "nothing"], 2);
    hold_equal(&two, &["outputs", "flow", "nothing"], 2);
    hold_equal(
        &two,
        &["run", "flow.yaml", "-p", "token=x", "-p", "nmaes=[]"],
        2,
    );
    hold_equal(&two, &["undo", "--yes"], 0);
    hold_equal(&two, &["undo", "--yes"], 2);
    hold_equal(&two, &["run", "fails.yaml"], 1);
    hold_equal(&two, &["show"], 0);
    hold_equal(&two, &["cancel"], 2);
    let kept = super::server::contents(&two.there.path(".windlass"));
    let secret = b"t0ps3cret";
    let leaks = kept
        .iter()
        .any(|text| text.windows(secret.len()).any(|part| part == secret));
    assert!(!leaks, "the secret is sealed on the server");
}

#[test]
fn runs_of_a_server_are_filtered_by_status() {
    let two = Two::new();
    let owner = two.served.owner.clone();
    for (file, code) in [("asks.yaml", 3), ("fails.yaml", 1), ("fails.yaml", 1)] {
        two.here.windlass(&["run", file]).expect(code);
        two.windlass(&owner, &["run", file]).expect(code);
    }
    for arguments in [
        &["runs", "--status", "failed"][..],
        &["runs", "--status", "waiting", "--limit", "1"],
        &["runs", "--status", "failed", "--limit", "1"],
        &["runs", "--status", "succeeded"],
    ] {
        hold_equal(&two, arguments, 0);
    }
}

#[test]
fn a_run_of_a_server_is_resumed_with_changes() {
    let two = Two::new();
    hold_equal(&two, &["run", "fails.yaml"], 1);
    hold_equal(&two, &["resume", "--plan"], 0);
    hold_equal(&two, &["resume", "--plan", "--json"], 0);
    hold_equal(&two, &["resume", "--redo", "good", "--yes"], 1);
    let mended = FAILS.replace("throw \\\"no such thing\\\"", "#{}");
    assert_ne!(mended, FAILS);
    for test in [&two.here, &two.there] {
        test.write("fails.yaml", &mended);
    }
    hold_equal(&two, &["resume", "--edited", "--plan"], 0);
    hold_equal(&two, &["resume", "--edited", "--yes"], 0);
    hold_equal(&two, &["show"], 0);
    hold_equal(&two, &["mesh"], 2);
    hold_equal(&two, &["mesh", "--json"], 2);
}

#[test]
fn questions_come_back_to_the_terminal_and_are_answered_from_it() {
    let two = Two::new();
    let owner = two.served.owner.clone();
    let ran = two.windlass(&owner, &["run", "asks.yaml"]).expect(3);
    ran.says("waits for an approval: Restart all?");
    assert!(
        ran.stderr.contains("To approve: `windlass approve")
            || ran.stderr.contains("To approve: windlass approve"),
        "{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("Then continue"),
        "the server goes on by itself: {}",
        ran.stderr
    );
    let list = two.windlass(VERA, &["runs", "--json"]).expect(0).json();
    assert_eq!(list[0]["status"], "waiting");
    let run = list[0]["run"].as_str().expect("an id").to_owned();
    // Alice operates, and does not approve.
    let denied = two.windlass(ALICE, &["approve", &run, "gate"]).expect(2);
    denied.says("needs the role `approver`");
    denied.says("[not-permitted]");
    let approved = two
        .windlass(BOB, &["approve", &run, "gate", "-m", "fine"])
        .expect(0);
    approved.says("approved `gate`: Restart all?");
    two.served.wait(&run, "succeeded");
    let logs = two.windlass(VERA, &["logs", &run, "-f"]).expect(0);
    logs.prints("bob");
    // One that waits is watched to its end.
    let mut watched = two.command(&owner, &["run", "asks.yaml", "--wait"]);
    let watched = watched
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let mut watched = Watched::of(watched);
    watched.until("gate");
    let list = two.windlass(VERA, &["runs", "--json"]).expect(0).json();
    let run = list[0]["run"].as_str().expect("an id").to_owned();
    two.windlass(BOB, &["reject", &run, "gate"]).expect(0);
    assert_eq!(watched.child.wait().expect("ended").code(), Some(1));
}

/// A command whose words are read as they come.
struct Watched {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Watched {
    fn of(mut child: Child) -> Self {
        let stderr = child.stderr.take().expect("piped");
        Self {
            child,
            lines: BufReader::new(stderr),
        }
    }

    fn until(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(
                self.lines.read_line(&mut line).expect("text") > 0,
                "no {word}"
            );
        }
    }
}

/// Passes bytes on to an address that is set later, and breaks each connection after so many of the answer. Counts what it broke.
struct Flaky {
    own: String,
    leads_to: Arc<Mutex<String>>,
    broken: Arc<AtomicUsize>,
}

impl Flaky {
    fn new(most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let own = listener.local_addr().expect("an address").to_string();
        let (leads_to, broken) = (
            Arc::<Mutex<String>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (address, count) = (leads_to.clone(), broken.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let address = address.lock().expect("whole").clone();
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(address)) else {
                    continue;
                };
                let count = count.clone();
                thread::spawn(move || pass(client, server, most, &count));
            }
        });
        Self {
            own,
            leads_to,
            broken,
        }
    }
}

fn pass(mut client: TcpStream, mut server: TcpStream, most: usize, count: &AtomicUsize) {
    let mut from = client.try_clone().expect("cloned");
    let mut to = server.try_clone().expect("cloned");
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let (mut part, mut passed) = ([0; 512], 0);
    while let Ok(length @ 1..) = server.read(&mut part) {
        if client.write_all(&part[..length]).is_err() {
            break;
        }
        passed += length;
        if passed > most {
            count.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    // Whoever is still there sees that it is over.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn progress_that_is_cut_off_resumes_without_loss() {
    let chain = "workflow: chain
steps:
  count:
    for_each: ${{ [1, 2, 3, 4, 5, 6, 7, 8] }}
    max_parallel: 1
    with: { i: \"${{ item }}\" }
    run: |
      log::info(`number ${inputs.i} of eight`);
      time::sleep(\"30ms\");
      #{ i: inputs.i }
";
    // An answer of the API fits into this; a stream does not.
    let proxy = Flaky::new(2500);
    let there = with_people(Test::new().file("chain.yaml", chain));
    let tokens = there.read("windlass.toml");
    let hosts = format!("[serve]\nhosts = [\"{}\"]\n", proxy.own);
    there.write("windlass.toml", &format!("{hosts}{tokens}"));
    let served = Served::start(&there);
    proxy
        .leads_to
        .lock()
        .expect("whole")
        .clone_from(&served.address);
    let here = Test::new().file("chain.yaml", chain);
    let mut command = here.command(&["run", "chain.yaml"]);
    command
        .env("WINDLASS_SERVER", format!("http://{}", proxy.own))
        .env("WINDLASS_TOKEN", &served.owner);
    let ran = Ran::from_output(command.output().expect("started")).expect(0);
    for i in 1..=8 {
        let line = format!("number {i} of eight");
        assert_eq!(
            ran.stderr.matches(&line).count(),
            1,
            "{line}: {}",
            ran.stderr
        );
    }
    let broken = proxy.broken.load(Ordering::Relaxed);
    println!("{broken} connections broken");
    assert!(broken > 1, "{broken}");
}

#[test]
fn what_is_wrong_with_a_server_is_said() {
    let two = Two::new();
    let owner = two.served.owner.clone();
    let fails = |environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = two.here.command(arguments);
        command.envs(environment.iter().copied());
        let ran = Ran::from_output(command.output().expect("started")).expect(2);
        ran.stderr
    };
    let url = format!("http://{}", two.served.address);
    let here = ("WINDLASS_SERVER", url.as_str());
    let said = fails(&[here], &["runs"]);
    assert!(
        said.contains("requires a login") && said.contains("windlass login"),
        "{said}"
    );
    let said = fails(&[here, ("WINDLASS_TOKEN", "nothing")], &["runs"]);
    assert!(
        said.contains("does not accept this token") && said.contains("[not-authenticated]"),
        "{said}"
    );
    let said = fails(&[here, ("WINDLASS_TOKEN", VERA)], &RUN);
    assert!(
        said.contains("this needs the role `operator`; vera has viewer"),
        "{said}"
    );
    // Nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("bound")
        .local_addr()
        .expect("one");
    let said = fails(&[("WINDLASS_SERVER", &format!("http://{free}"))], &["runs"]);
    assert!(
        said.contains("can't reach http://127.0.0.1") && said.contains("[server]"),
        "{said}"
    );
    let said = fails(
        &[("WINDLASS_SERVER", "http://windlass.example.com")],
        &["runs"],
    );
    assert!(
        said.contains("plain HTTP") && said.contains("https://"),
        "{said}"
    );
    let said = fails(&[("WINDLASS_SERVER", "windlass.example.com")], &["runs"]);
    assert!(said.contains("not a valid server address"), "{said}");
    // Commands and options that are about this machine.
    let token = ("WINDLASS_TOKEN", owner.as_str());
    for (arguments, word) in [
        (&["shell"][..], "windlass shell"),
        (&["backup", "b.tar"][..], "windlass backup"),
        (&["restore", "b.tar"][..], "windlass restore"),
        (
            &["run", "flow.yaml", "-p", "token=x", "--out", "x"][..],
            "--out",
        ),
        (
            &["run", "flow.yaml", "-p", "token=x", "--lock-timeout", "1s"][..],
            "--lock-timeout",
        ),
        (
            &["run", "flow.yaml", "-p", "token=x", "--max-parallel", "2"][..],
            "--max-parallel",
        ),
    ] {
        let said = fails(&[here, token], arguments);
        assert!(
            said.contains(word) && said.contains("[not-remote]"),
            "{arguments:?}: {said}"
        );
    }
    // Another version: it says who asks, and nothing else that is understood.
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let other = format!("http://{}", listener.local_addr().expect("one"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 2048];
            let length = stream.read(&mut request).unwrap_or(0);
            let is_who = String::from_utf8_lossy(&request[..length]).contains("whoami");
            let body = if is_who {
                json!({ "name": "x", "roles": [], "version": "9.8.7" })
            } else {
                json!({ "everything": "is different" })
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    let said = fails(&[("WINDLASS_SERVER", &other), token], &["runs"]);
    assert!(said.contains("the server is windlass 9.8.7"), "{said}");
}

#[test]
fn files_that_the_server_does_not_have_are_for_an_admin() {
    let two = Two::new();
    two.windlass(ALICE, &RUN).expect(0);
    two.here.write("steps/last.rhai", &LAST.replace('7', "8"));
    let said = two.windlass(ALICE, &RUN).expect(2).stderr;
    assert!(
        said.contains("not those of a workflow of this server") && said.contains("`admin`"),
        "{said}"
    );
    let owner = two.served.owner.clone();
    two.windlass(&owner, &RUN).expect(0);
    let n = two.windlass(&owner, &["outputs", "flow", "n"]).expect(0);
    assert_eq!(n.stdout, "8\n");
}

#[test]
fn a_login_is_kept_for_its_owner_and_forgotten() {
    let two = Two::new();
    let url = format!("http://{}", two.served.address);
    let home = two.here.path("home");
    let run = |arguments: &[&str], typed: &str| {
        let mut command = two.here.command(arguments);
        command
            .env("XDG_CONFIG_HOME", &home)
            .env("WINDLASS_SERVER", &url);
        fed(&mut command, typed)
    };
    let refused = run(&["login"], "nothing\n").expect(2);
    refused.says("does not accept the token");
    let file = home.join("windlass/credentials.json");
    assert!(!file.exists(), "nothing was kept");
    let ran = run(&["login"], &format!("{ALICE}\n")).expect(0);
    ran.says("as alice");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&file).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    run(&["runs"], "").expect(0);
    let mut open = std::fs::metadata(&file).expect("there").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o644);
    std::fs::set_permissions(&file, open).expect("set");
    let said = run(&["runs"], "").expect(2).stderr;
    assert!(said.contains("chmod 600"), "{said}");
    std::fs::remove_file(&file).expect("removed");
    run(&["login"], &format!("{ALICE}\n")).expect(0);
    run(&["logout"], "").expect(0);
    assert!(
        run(&["runs"], "")
            .expect(2)
            .stderr
            .contains("requires a login")
    );
    let none = two.here.windlass(&["login"]).expect(2).stderr;
    assert!(none.contains("no server is named"), "{none}");
}

#[test]
fn a_servers_certificate_has_to_lead_to_a_ca_that_is_trusted() {
    let test = with_people(
        Test::new()
            .file("flow.yaml", FLOW)
            .file("steps/last.rhai", LAST),
    );
    test.write(
        "windlass.toml",
        &format!(
            "[serve]\nhosts = [\"localhost\"]\n{}",
            test.read("windlass.toml")
        ),
    );
    certify(&test, "1");
    let (_served, port) = Served::start_with_tls(&test);
    let url = format!("https://localhost:{port}");
    let here = Test::new();
    let runs = |more: &[&str]| {
        let mut command = here.command(&[&["runs", "--server", &url], more].concat());
        Ran::from_output(
            command
                .env("WINDLASS_TOKEN", VERA)
                .output()
                .expect("started"),
        )
    };
    let said = runs(&[]).expect(2).stderr;
    assert!(
        said.contains("certificate") && said.contains("--server-ca"),
        "{said}"
    );
    // It is for windlass.test, and not for localhost.
    let ca = test.path("cert.pem").display().to_string();
    let said = runs(&["--server-ca", &ca]).expect(2).stderr;
    assert!(said.contains("certificate"), "{said}");
}
