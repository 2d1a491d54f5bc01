//! Backups that are taken while runs go on, and what is restored of them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    client,
    harness::{Test, status, until},
    serve::server::{PATIENCE, Served},
};

pub const ROOT: &str = r##"const INPUTS = #{};
const OUTPUTS = #{ ca: "string", csr: "string" };
fn run(inputs) {
    let ca = pca::create_certificate_authority(#{ type: "ROOT", subject: #{ common_name: "Root" }, key_algorithm: "EC_prime256v1", signing_algorithm: "SHA256WITHECDSA" });
    pca::wait_until_csr_ready(ca);
    let own = pca::issue_certificate(ca, #{ csr: pca::certificate_authority_csr(ca), template: "RootCACertificate/V1", validity: "30d", signing_algorithm: "SHA256WITHECDSA" });
    pca::import_certificate_authority_certificate(ca, #{ certificate: pca::wait_until_issued(ca, own).certificate });
    let key = key::generate("EC_prime256v1");
    #{ ca: ca, csr: csr::create(key, #{ subject: #{ common_name: "leaf" } }) }
}
"##;
pub const ISSUE: &str = r##"const INPUTS = #{ ca: "string", csr: "string" };
fn run(inputs) {
    let arn = pca::issue_certificate(inputs.ca, #{ csr: inputs.csr, validity: "1d", signing_algorithm: "SHA256WITHECDSA" });
    #{ arn: arn, certificate: pca::wait_until_issued(inputs.ca, arn).certificate }
}
"##;
const ROOT_WORKFLOW: &str = "workflow: root
steps: { a: { script: root.rhai } }
outputs: { ca: \"${{ steps.a.ca }}\", csr: \"${{ steps.a.csr }}\" }
";
const MANY: &str = "workflow: many
params: { ca: string, csr: string }
steps:
  a: { script: issue.rhai, with: { ca: \"${{ params.ca }}\", csr: \"${{ params.csr }}\" } }
  b: { script: issue.rhai, with: { ca: \"${{ params.ca }}\", csr: \"${{ params.csr }}\" }, needs: [a] }
  c: { script: issue.rhai, with: { ca: \"${{ params.ca }}\", csr: \"${{ params.csr }}\" }, needs: [b] }
";
const RUNS: usize = 20;

/// Counts the certificates that a CA has issued to others.
fn issued(folder: &Path) -> usize {
    let path = folder.join("authority.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let sql = "SELECT count(*) FROM certificate WHERE template LIKE '%EndEntity%'";
    let count = database
        .expect("there")
        .query_row(sql, [], |row| row.get(0));
    count.expect("a number")
}

fn serve(test: &Test, state: &str) -> Served {
    let arguments = ["--state", state, "serve", "--listen", "127.0.0.1:0"];
    let (mut served, url) = Served::start_with(test, &arguments);
    let address = url.trim().strip_prefix("http://").expect("an address");
    address
        .split('/')
        .next()
        .expect("a host")
        .clone_into(&mut served.address);
    test.read(&format!("{state}/serve.token"))
        .trim()
        .clone_into(&mut served.owner);
    served
}

#[test]
fn a_backup_of_runs_in_flight_is_restored_elsewhere_and_nothing_is_done_twice() {
    let mut test = Test::new()
        .file("root.rhai", ROOT)
        .file("root.yaml", ROOT_WORKFLOW)
        .file("issue.rhai", ISSUE)
        .file("many.yaml", MANY);
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        test.set(name, value);
    }
    let authority = client::Served::start_in(&test, "ca", &["--issue-delay", "1500ms"]);
    test.write(
        "windlass.toml",
        &format!(
            "[targets.here]\npca = {{ endpoint = \"http://{}\", region = \"us-east-1\" }}\n",
            authority.address()
        ),
    );
    let params = test.outputs_of(&["root.yaml", "--target", "here"]);
    let served = serve(&test, ".windlass");
    let start = json!({ "workflow": "many", "target": "here", "params": params });
    let runs: Vec<_> = (0..RUNS)
        .map(|_| served.run(&served.owner, &start))
        .collect();
    // All have begun, and some are further: none can be over, since each certificate takes a while.
    until("something is issued", PATIENCE, || {
        issued(&test.path("ca")) >= RUNS + 2
    });
    let began = Instant::now();
    test.windlass(&["backup", "backup.tar"]).expect(0);
    let took = began.elapsed();
    for run in &runs {
        served.wait(run, "succeeded");
    }
    served.kill();
    // The CA went on: it has what the backup knows nothing of.
    assert_eq!(issued(&test.path("ca")), 3 * RUNS);

    let said = test
        .windlass(&["--state", "other", "restore", "backup.tar"])
        .expect(0)
        .stderr;
    let listed = test
        .windlass(&["--state", "other", "runs", "--json"])
        .expect(0)
        .json();
    let listed = listed.as_array().expect("a list");
    let open = listed.iter().filter(|run| run["status"] == "interrupted");
    let open = open.count();
    println!("{RUNS} runs, backed up in {took:?}: {open} interrupted after the restore; {said}");
    assert_eq!(listed.len(), RUNS + 1);
    assert!(open > RUNS / 2, "too few were in flight: {open}");
    for run in listed {
        let run = run["run"].as_str().expect("an id");
        test.windlass(&["--state", "other", "audit", run]).expect(0);
    }
    // A server takes up what the server of the backup drove.
    let served = serve(&test, "other");
    let mut asked = 0;
    for run in &runs {
        let shown = settled(&served, run, &mut asked);
        assert_eq!(shown["steps"].as_array().expect("steps").len(), 3);
    }
    println!("{asked} calls were asked about");
    assert_eq!(
        issued(&test.path("ca")),
        3 * RUNS,
        "a certificate was issued twice"
    );
}

#[test]
fn the_embedded_servers_are_part_of_a_backup() {
    let mut test = Test::new()
        .file("root.rhai", ROOT)
        .file("issue.rhai", ISSUE)
        .file(
            "w.yaml",
            "workflow: w
params: { password: secret }
steps:
  a: { script: root.rhai }
  ask: { approval: Go on?, needs: [a] }
  b: { script: issue.rhai, with: { ca: \"${{ steps.a.ca }}\", csr: \"${{ steps.a.csr }}\" }, needs: [ask] }
",
        );
    test.set("PASSWORD", "hunter2-hunter2");
    test.windlass(&["run", "w.yaml", "-p", "password=env:PASSWORD"])
        .expect(3);
    test.windlass(&["backup", "backup.tar"]).expect(0);
    let mode = fs::metadata(test.path("backup.tar")).expect("there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    test.windlass(&["restore", "backup.tar", "--verify"])
        .expect(0);

    let refused = test.windlass(&["restore", "backup.tar"]).expect(2);
    refused.says("[not-empty]");
    let other = |arguments: &[&str]| test.windlass(&[&["--state", "other"], arguments].concat());
    other(&["restore", "backup.tar"]).expect(0);
    other(&["approve", "w", "ask"]).expect(0);
    other(&["resume", "w"]).expect(0);
    let shown = other(&["show", "--json"]).expect(0).json();
    assert_eq!(status(&shown, "b"), "succeeded", "{shown:#}");
    assert_eq!(issued(&test.path("other/pca")), 1);
    assert_eq!(issued(&test.path(".windlass/pca")), 0);
}

#[test]
fn a_backup_that_is_not_whole_is_refused() {
    let test = Test::new().file("ok.yaml", "workflow: ok\nsteps: { a: { run: \"#{}\" } }\n");
    let nothing = test.windlass(&["backup", "backup.tar"]).expect(2);
    nothing.says("[journal]");
    test.windlass(&["run", "ok.yaml"]).expect(0);
    let within = test.windlass(&["backup", ".windlass/backup.tar"]).expect(2);
    within.says("state folder itself");
    test.windlass(&["backup", "backup.tar"]).expect(0);

    let whole = fs::read(test.path("backup.tar")).expect("there");
    let refused = |name: &str, bytes: &[u8]| {
        fs::write(test.path(name), bytes).expect("written");
        let ran = test
            .windlass(&["--state", "other", "restore", name])
            .expect(2);
        assert!(
            ran.stderr.contains("[bad-backup]"),
            "{name}: {}",
            ran.stderr
        );
        assert!(!test.path("other").exists(), "{name}");
        ran.stderr
    };
    refused("empty.tar", b"");
    refused("text.tar", "no backup ".repeat(200).as_bytes());
    refused("cut.tar", &whole[..whole.len() / 2]);
    let at = whole
        .windows(11)
        .position(|found| found == b"run_started")
        .expect("an event");
    let mut changed = whole.clone();
    changed[at] = b'x';
    let said = refused("changed.tar", &changed);
    assert!(said.contains("journal.db is damaged"), "{said}");
    test.windlass(&["--state", "other", "restore", "backup.tar"])
        .expect(0);
    let left = fs::read_dir(test.path("")).expect("a folder");
    let left = left.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().starts_with(".windlass-")
    });
    assert_eq!(left.count(), 0, "drafts are left");
}

#[test]
fn a_journal_that_others_changed_is_no_backup() {
    let ok = "workflow: ok\nsteps: { a: { run: \"#{}\" } }\n";
    for (change, said) in [
        (
            "UPDATE run_files SET path = 'x.yaml'",
            "are not the ones that it ran",
        ),
        (
            "INSERT INTO run_files SELECT run, edition, 'y.yaml', digest FROM run_files",
            "are not the ones that it ran",
        ),
        (
            "UPDATE runs SET status = 'failed'",
            "the list of runs does not match",
        ),
        ("DELETE FROM runs", "the list of runs does not have run"),
    ] {
        let test = Test::new().file("ok.yaml", ok);
        test.windlass(&["run", "ok.yaml"]).expect(0);
        test.windlass(&["backup", "backup.tar"]).expect(0);
        let whole = fs::read(test.path("backup.tar")).expect("there");
        let journal = Connection::open(test.path(".windlass/journal.db")).expect("a journal");
        journal.execute(change, []).expect(change);
        drop(journal);
        let ran = test.windlass(&["backup", "backup.tar"]).expect(1);
        assert!(ran.stderr.contains(said), "{change}: {}", ran.stderr);
        let kept = fs::read(test.path("backup.tar")).expect("there");
        assert!(kept == whole, "{change}: the earlier backup stays");
    }
}

/// Waits until a restored run has succeeded. Of an attempt that had only begun it may ask whether its call was made: the CA knows
/// the key of that, so it is made again.
fn settled(served: &Served, run: &str, asked: &mut usize) -> serde_json::Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let path = format!("/api/v1/runs/{run}");
        let shown = served.get(&served.owner, &path).expect(200).json();
        if shown["status"] == "succeeded" {
            return shown;
        }
        if shown["status"] == "failed" {
            let steps = shown["steps"].as_array().expect("steps");
            let failed = steps.iter().find(|step| step["status"] == "failed");
            let step = &failed.expect("a step")["step"];
            let body = json!({ "step": step, "done": false });
            served
                .post(&served.owner, &format!("{path}/doubt"), &body)
                .expect(202);
            *asked += 1;
        }
        assert!(Instant::now() < end, "{shown:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A web server that stops at one path until it is let go on, the first time.
struct Holding {
    url: String,
    arrived: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Holding {
    fn open(at: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (tell, arrived) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        thread::spawn(move || {
            let mut has_held = false;
            for mut client in listener.incoming().flatten() {
                let mut lines = BufReader::new(client.try_clone().expect("cloned")).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().expect("not poisoned").push(path.clone());
                if path == at && !has_held {
                    has_held = true;
                    tell.send(()).expect("the test waits");
                    wait.recv().expect("it goes on");
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _ = client.write_all(answer.as_bytes());
            }
        });
        Self {
            url,
            arrived,
            go,
            asked,
        }
    }

    fn orders(&self) -> usize {
        let asked = self.asked.lock().expect("not poisoned");
        asked.iter().filter(|path| *path == "/order").count()
    }
}

/// The backup is taken while a step reads, before it says that it will order; and between that and the answer.
#[test]
fn what_a_step_did_after_the_backup_is_asked_about_and_not_repeated() {
    for hold in ["/look", "/order"] {
        let there = Holding::open(hold);
        let url = &there.url;
        let test = Test::new().file(
            "w.yaml",
            &format!(
                "workflow: w\nsteps:\n  s:\n    run: 'http::get(\"{url}/look\"); http::post(\"{url}/order\"); #{{}}'\n"
            ),
        );
        let mut command = test.command(&["run", "w.yaml"]);
        let mut run = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("started");
        there.arrived.recv_timeout(PATIENCE).expect("it is asked");
        // The journal has it a moment after a step has begun that only reads.
        until("the start of a step is kept", PATIENCE, || {
            test.windlass(&["logs"]).expect(0).stdout.lines().count() >= 2
        });
        test.windlass(&["backup", "b.tar"]).expect(0);
        there.go.send(()).expect("it waits");
        assert_eq!(run.wait().expect("ended").code(), Some(0), "{hold}");
        assert_eq!(there.orders(), 1, "{hold}");

        let elsewhere =
            |arguments: &[&str]| test.windlass(&[&["--state", "other"], arguments].concat());
        let said = elsewhere(&["restore", "b.tar"]).expect(0).stderr;
        assert!(
            said.contains("1 attempt of a step was running"),
            "{hold}: {said}"
        );
        elsewhere(&["audit"]).expect(0);
        let said = elsewhere(&["resume"]).expect(1).stderr;
        assert!(said.contains("in-doubt"), "{hold}: {said}");
        assert_eq!(there.orders(), 1, "{hold}: it was made again");
        let shown = elsewhere(&["show", "--json"]).expect(0).json();
        assert_ne!(status(&shown, "s"), "succeeded", "{hold}: {shown:#}");
        elsewhere(&["resume", "--answer", "s=done"]).expect(0);
        assert_eq!(there.orders(), 1, "{hold}");
        let shown = elsewhere(&["show", "--json"]).expect(0).json();
        assert_eq!(status(&shown, "s"), "succeeded", "{hold}: {shown:#}");
    }
}

/// A pipe gets the backup, and a link leads to it.
#[test]
fn a_backup_goes_where_a_link_or_a_pipe_leads() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps:\n  a: { run: \"#{}\" }\n");
    test.windlass(&["run", "w.yaml"]).expect(0);
    fs::create_dir(test.path("disk")).expect("made");
    let link = |to: &str, at: &str| symlink(test.path(to), test.path(at)).expect("linked");
    link("disk/real.tar", "link.tar");
    let nowhere = test.windlass(&["backup", "link.tar"]).expect(2);
    nowhere.says("it is a link to nothing");
    test.write("disk/real.tar", "an older one");
    test.windlass(&["backup", "link.tar"]).expect(0);
    let is_link = fs::symlink_metadata(test.path("link.tar")).expect("there");
    assert!(is_link.is_symlink());
    test.windlass(&["restore", "disk/real.tar", "--verify"])
        .expect(0);
    // A file that is open is added to, not replaced.
    test.write("more", "before");
    let more = fs::OpenOptions::new().append(true).open(test.path("more"));
    let mut backup = test.command(&["backup", "/dev/stdout"]);
    let ended = backup.stdout(more.expect("opened")).status();
    assert!(ended.expect("started").success());
    let more = fs::read(test.path("more")).expect("read");
    assert!(more.starts_with(b"before") && more.len() > 1000);
    link("/dev/stdout", "stdout");
    let ran = test.windlass(&["backup", "stdout"]).expect(0);
    assert!(ran.stdout.contains("windlass-backup/1"), "{}", ran.stderr);
}

/// Nothing of an interrupted backup is left, and a journal without what opens its secrets is no whole backup.
#[test]
fn an_interrupted_backup_leaves_no_keys_and_one_without_the_identity_says_so() {
    let step = "workflow: w\nsteps:\n  a: { run: '#{ key: key::generate(\"EC_prime256v1\") }' }\n";
    let test = Test::new().file("w.yaml", step);
    test.windlass(&["run", "w.yaml"]).expect(0);
    fs::create_dir(test.path("there")).expect("made");
    let drafts = || fs::read_dir(test.path("there")).expect("read").count();
    for signal in [Signal::TERM, Signal::KILL] {
        // Nothing can be copied meanwhile.
        let writer = Connection::open(test.path(".windlass/journal.db")).expect("opened");
        writer.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let mut backup = test.start(&["backup", "there/b.tar"]);
        until("it has begun", Duration::from_secs(20), || {
            let mut found = fs::read_dir(test.path("there")).expect("read").flatten();
            found.any(|draft| draft.path().join("lock").exists())
        });
        kill_process(Pid::from_child(&backup), signal).expect("sent");
        backup.wait().expect("ended");
        let left = usize::from(signal == Signal::KILL);
        assert_eq!(drafts(), left, "after {signal:?}");
    }
    test.windlass(&["backup", "there/b.tar"]).expect(0);
    assert_eq!(drafts(), 1, "the backup alone");
    fs::rename(test.path(".windlass/identity.txt"), test.path("id")).expect("moved");
    // One without the identity says so; it may be kept elsewhere.
    let bare = test.windlass(&["backup", "there/c.tar"]).expect(0);
    bare.says("the backup has no identity.txt");
    let verified = test.windlass(&["restore", "there/c.tar", "--verify"]);
    verified.expect(0).says("put yours into STATE");
}
