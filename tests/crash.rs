//! The process dies at every moment that there is, and the outcome is the same.
//!
//! `WINDLASS_CRASH_AT=n` makes a run abort at its n-th commit or outside call (before and after
//! each). Every n is tried with `WINDLASS_CRASH_STRIDE=1`; without it a sample, to keep CI short.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
};

use rusqlite::{Connection, OpenFlags};

use crate::harness::{Test, number_of, sha256};

/// Prime, so that over time it falls on every kind of moment.
const STRIDE: u64 = 7;
/// Two cores.
const WORKERS: u64 = 2;

/// A mesh of one cluster, made quickly.
pub const ARGUMENTS: [&str; 8] = [
    "-p",
    "clusters=[a]",
    "-p",
    "ca_key_algorithm=EC_prime256v1",
    "-p",
    "ca_signing_algorithm=SHA256WITHECDSA",
    "-p",
    "key_algorithm=EC_prime256v1",
];

/// What must not depend on where the process died.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// Statuses of the CAs.
    authorities: Vec<String>,
    /// Template and CA kind of each certificate that was issued.
    certificates: Vec<String>,
    files: Vec<String>,
    /// Of each cluster: secrets, and how often what belongs to the mesh was changed since it was made.
    clusters: Vec<String>,
    /// Step, status, number of effects.
    steps: Vec<(String, String, i64)>,
}

impl Outcome {
    pub fn of(test: &Test) -> Self {
        let shown = test.shown();
        let steps = shown["steps"].as_array().expect("steps").iter();
        let steps = steps.map(|s| {
            let text = |key: &str| s[key].as_str().expect("a text").to_owned();
            // How much they see until Gloo Mesh has issued, and all pods are there, depends on time.
            let waits = ["istio_issued", "issuer_back", "verify_istio"];
            let effects = if waits.iter().any(|step| text("step").starts_with(step)) {
                0
            } else {
                s["effects"].as_i64().expect("a number")
            };
            (text("step"), text("status"), effects)
        });
        Self {
            authorities: on_the_server(test, "SELECT kind || ' ' || status FROM authority"),
            certificates: on_the_server(
                test,
                "SELECT kind || ' ' || template FROM certificate JOIN authority ON authority = arn",
            ),
            files: files(test).into_keys().collect(),
            clusters: on_the_clusters(
                test,
                // The name of the issuing CA's secret ends with the fingerprint of the CA.
                "SELECT namespace || ' ' || iif(name LIKE 'gloo-mesh-issuing-ca-%', 'gloo-mesh-issuing-ca', name)
                     || ' ' || coalesce(json ->> '$.metadata.generation', '')
                 FROM object WHERE resource IN ('secrets', 'deployments.apps', 'daemonsets.apps')",
            ),
            steps: steps.collect(),
        }
    }

    /// Leaves out how many calls steps made: how often one looks at what others do depends on time.
    #[cfg(feature = "restate")]
    pub fn without_effects(mut self) -> Self {
        for (.., effects) in &mut self.steps {
            *effects = 0;
        }
        self
    }
}

/// Asks the embedded server's own state, which knows of every request that it granted.
pub fn on_the_server(test: &Test, query: &str) -> Vec<String> {
    ask(&test.path(".windlass/pca/authority.db"), query)
}

fn ask(path: &Path, query: &str) -> Vec<String> {
    if !path.exists() {
        return Vec::new();
    }
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let database = database.expect("the server's state");
    let tables = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
    if tables == Ok(0) {
        return Vec::new(); // The process died before it had made the tables.
    }
    let mut statement = database.prepare(query).expect("a query");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    let mut found: Vec<String> = rows.collect::<Result<_, _>>().expect("texts");
    found.sort();
    found
}

/// Asks the state of every rehearsal cluster.
pub fn on_the_clusters(test: &Test, query: &str) -> Vec<String> {
    let Ok(folder) = fs::read_dir(test.path(".windlass/kube")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in folder {
        let role = entry.expect("an entry").file_name();
        let role = role.to_string_lossy();
        let path = test.path(&format!(".windlass/kube/{role}/cluster.db"));
        found.extend(
            ask(&path, query)
                .into_iter()
                .map(|row| format!("{role} {row}")),
        );
    }
    found.sort();
    found
}

/// Every file below `out/`, with its digest.
pub fn files(test: &Test) -> BTreeMap<String, String> {
    let Ok(folder) = fs::read_dir(test.path("out")) else {
        return BTreeMap::new();
    };
    folder
        .map(|entry| {
            let entry = entry.expect("an entry");
            let content = fs::read(entry.path()).expect("a file");
            (
                entry.file_name().to_string_lossy().into_owned(),
                sha256(&content),
            )
        })
        .collect()
}

/// Holds each file against what the journal says was written last; what is secret, it does not say.
fn check_files(test: &Test, at: u64) {
    let found = files(test);
    let mut written = BTreeMap::new();
    for event in test.events() {
        let done = &event["outcome"]["done"];
        if let (Some(path), Some(digest)) = (done["path"].as_str(), done["sha256"].as_str()) {
            let name = path.rsplit('/').next().expect("a name");
            let digest = match (digest, found.get(name)) {
                (windlass::value::MASK, Some(found)) => found,
                _ => digest,
            };
            written.insert(name.to_owned(), digest.to_owned());
        }
    }
    assert_eq!(found, written, "files after a crash at {at}");
}

pub fn check_journal(test: &Test, at: u64) {
    let database = Connection::open(test.path(".windlass/journal.db")).expect("the journal");
    let found: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(found, "ok", "the journal after a crash at {at}");
}

/// Runs until the n-th moment. `false` if there is none.
pub fn crash(test: &Test, arguments: &[&str], at: u64) -> bool {
    let mut command = test.command(arguments);
    let output = command.env("WINDLASS_CRASH_AT", at.to_string()).output();
    let code = output.expect("windlass starts").status.code();
    assert!(
        matches!(code, None | Some(0)),
        "exit {code:?} instead of a crash at {at}"
    );
    code.is_none()
}

/// Tries every moment (or each of a sample), on all cores; returns how many there were and how
/// many were tried.
pub fn at_every_moment(attempt: impl Fn(u64) -> bool + Sync) -> (u64, usize) {
    let stride = number_of("WINDLASS_CRASH_STRIDE", STRIDE);
    let (next, last, tried) = (
        AtomicU64::new(0),
        AtomicU64::new(u64::MAX),
        AtomicUsize::new(0),
    );
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let at = 1 + next.fetch_add(1, Ordering::Relaxed) * stride;
                    if at >= last.load(Ordering::Relaxed) {
                        return;
                    }
                    if attempt(at) {
                        tried.fetch_add(1, Ordering::Relaxed)
                    } else {
                        last.fetch_min(at, Ordering::Relaxed);
                        return;
                    };
                }
            });
        }
    });
    (last.into_inner(), tried.into_inner())
}

fn run() -> Vec<&'static str> {
    [&["run", "workflows/gloo-mesh.yaml"] as &[_], &ARGUMENTS].concat()
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let whole = Test::with_shipped_workflows();
    whole.windlass(&run()).expect(0);
    let wanted = Outcome::of(&whole);
    let (moments, tried) = at_every_moment(|at| {
        let test = Test::with_shipped_workflows();
        if !crash(&test, &run(), at) {
            return false;
        }
        // Before the run was recorded there is nothing to resume: it never began.
        let runs = test.windlass(&["runs", "--json"]).expect(0).json();
        let again = if runs.as_array().is_some_and(Vec::is_empty) || has_no_events(&test) {
            run()
        } else {
            vec!["resume"]
        };
        // 2: it had succeeded already.
        test.windlass(&again).expect_one_of(&[0, 2]);
        assert_eq!(Outcome::of(&test), wanted, "after a crash at {at}");
        check_files(&test, at);
        check_journal(&test, at);
        true
    });
    println!(
        "crash points tried: {tried} of {moments} (resume); CAs orphaned: 0, effects done twice: 0, keys lost: 0"
    );
}

#[test]
fn an_undo_leaves_nothing_wherever_the_run_died() {
    let (moments, tried) = at_every_moment(|at| {
        let test = Test::with_shipped_workflows();
        if !crash(&test, &run(), at) {
            return false;
        }
        if !has_no_events(&test) {
            test.windlass(&["undo", "--yes"]).expect(0);
        }
        check_nothing_left(&test, at);
        check_journal(&test, at);
        true
    });
    println!("crash points tried: {tried} of {moments} (undo of a dead run); CAs orphaned: 0");
}

#[test]
fn an_undo_that_died_goes_on() {
    let (moments, tried) = at_every_moment(|at| {
        let test = Test::with_shipped_workflows();
        test.windlass(&run()).expect(0);
        if !crash(&test, &["undo", "--yes"], at) {
            return false;
        }
        test.windlass(&["undo", "--yes"]).expect_one_of(&[0, 2]);
        assert_eq!(test.shown()["status"], "undone", "after a crash at {at}");
        check_nothing_left(&test, at);
        check_journal(&test, at);
        true
    });
    println!("crash points tried: {tried} of {moments} (a dying undo); CAs orphaned: 0");
}

pub fn has_no_events(test: &Test) -> bool {
    let ran = test.windlass(&["logs", "--json"]);
    ran.code != 0 || ran.stdout.trim().is_empty()
}

/// Nothing that a run made is there any longer.
pub fn check_nothing_left(test: &Test, at: u64) {
    let left = on_the_server(test, "SELECT arn FROM authority WHERE status <> 'DELETED'");
    assert!(left.is_empty(), "CAs left after a crash at {at}: {left:?}");
    assert!(
        files(test).is_empty(),
        "files left after a crash at {at}: {:?}",
        files(test)
    );
    // What Gloo Mesh issues is its own: under its former root again, once its policy is put back.
    let secrets = "SELECT name FROM object WHERE resource = 'secrets'
        AND (name LIKE 'relay-%' OR name LIKE 'gloo-mesh-issuing-ca-%'
             OR name = 'cacerts' AND json ->> '$.type' = 'Opaque')";
    let left = on_the_clusters(test, secrets);
    assert!(
        left.is_empty(),
        "secrets left after a crash at {at}: {left:?}"
    );
    let policies = "SELECT name FROM object WHERE resource LIKE 'roottrustpolicies%'
        AND (json ->> '$.spec.config.autoRestartPods' <> 1
             OR json ->> '$.spec.config.mgmtServerCa.secretRef' IS NOT NULL)";
    let left = on_the_clusters(test, policies);
    assert!(
        left.is_empty(),
        "policies changed after a crash at {at}: {left:?}"
    );
}

/// A CA whose creation was cut off is found by its tag: on an account with 200 others, and when
/// AWS's idempotency window has passed.
#[test]
fn a_new_ca_is_found_among_hundreds_and_later() {
    let test = Test::new()
        .file(
            "many.yaml",
            "workflow: many
steps:
  ca:
    for_each: ${{ range(0, 200).map(|i| i) }}
    with: { n: \"${{ item }}\" }
    run: |
      let subject = #{ common_name: `CA ${inputs.n}` };
      pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject, key_algorithm: \"EC_prime256v1\" });
",
        )
        .file(
            "one.yaml",
            "workflow: one
steps:
  ca:
    run: |
      let subject = #{ common_name: \"The one\" };
      #{ arn: pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject, key_algorithm: \"EC_prime256v1\" }) }
",
        );
    let items: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let many = test.read("many.yaml").replace(
        "${{ range(0, 200).map(|i| i) }}",
        &format!("[{}]", items.join(", ")),
    );
    test.write("many.yaml", &many);
    test.windlass(&["run", "many.yaml"]).expect(0);
    let count = || on_the_server(&test, "SELECT arn FROM authority").len();
    assert_eq!(count(), 200);
    let mut adopted = 0;
    for at in 1.. {
        let before = count();
        if !crash(&test, &["run", "one.yaml"], at) {
            break;
        }
        if has_no_events(&test) || !test.windlass(&["logs"]).stdout.contains("one.yaml") {
            continue;
        }
        // AWS forgets a token after five minutes.
        let database =
            Connection::open(test.path(".windlass/pca/authority.db")).expect("the server's state");
        database
            .execute("DELETE FROM token", [])
            .expect("forgotten");
        let was_made = count() == before + 1;
        test.windlass(&["resume"]).expect_one_of(&[0, 2]);
        assert_eq!(count(), before + 1, "after a crash at {at}");
        let looked = test
            .events()
            .iter()
            .any(|e| e["call"]["function"] == "pca::create_certificate_authority");
        adopted += usize::from(was_made && looked);
    }
    assert!(adopted > 0);
    println!("CAs found by their tag among 200 others, without the token: {adopted}");
}
