//! Answers that prove nothing: each changing call is done, and then answered as if it was not.
//!
//! What such an answer leaves open is settled by a resume at once, by a resume when the idempotency window has passed,
//! and by an undo: nothing is orphaned, nothing done twice.

use std::{
    any::Any,
    env,
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    ops::Deref,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value as Json;

use crate::{
    client::Served,
    cluster::served::Clusters,
    crash::on_the_server,
    harness::{Ran, Test, status},
    lost::{forward, read_request},
    site::Site,
};

/// What the client sees in place of the answer. The connection is cut where there is none.
pub const REPLIES: [(&str, Option<(u16, &str)>); 6] = [
    (
        "503",
        Some((
            503,
            r#"{"__type":"ServiceUnavailableException","message":"late"}"#,
        )),
    ),
    (
        "500",
        Some((500, r#"{"__type":"InternalFailure","message":"late"}"#)),
    ),
    (
        "RequestFailed",
        Some((
            400,
            r#"{"__type":"RequestFailedException","message":"late"}"#,
        )),
    ),
    (
        "unheard of",
        Some((400, r#"{"__type":"BrandNewException","message":"late"}"#)),
    ),
    ("no JSON", Some((200, "<html>"))),
    ("cut", None),
];

/// An operation, the script that sends it, and what it leaves on the server. `ca` is an active CA and `pending` one
/// without a certificate.
pub const OPERATIONS: [(&str, &str, &str); 14] = [
    (
        "CreateCertificateAuthority",
        r#"pca::create_certificate_authority(#{ type: "ROOT", subject: #{ common_name: "new" }, key_algorithm: "EC_prime256v1" })"#,
        "SELECT status || (configuration LIKE '%new%') FROM authority",
    ),
    (
        "IssueCertificate",
        r#"pca::issue_certificate(ca, #{ csr: inputs.csr, validity: "1d", signing_algorithm: "SHA256WITHECDSA" })"#,
        "SELECT template FROM certificate",
    ),
    (
        "ImportCertificateAuthorityCertificate",
        r#"let own = pca::issue_certificate(pending, #{ csr: pca::certificate_authority_csr(pending), template: "RootCACertificate/V1", validity: "10d", signing_algorithm: "SHA256WITHECDSA" });
    pca::import_certificate_authority_certificate(pending, #{ certificate: pca::wait_until_issued(pending, own).certificate })"#,
        "SELECT status FROM authority",
    ),
    (
        "UpdateCertificateAuthority",
        "pca::disable_certificate_authority(ca)",
        "SELECT status FROM authority",
    ),
    (
        "DeleteCertificateAuthority",
        "pca::delete_certificate_authority(pending, #{ restore_within_days: 7 })",
        "SELECT status FROM authority",
    ),
    (
        "RestoreCertificateAuthority",
        "pca::restore_certificate_authority(deleted)",
        "SELECT status FROM authority",
    ),
    (
        "TagCertificateAuthority",
        r#"pca::tag_certificate_authority(ca, #{ Name: "changed", team: "pki" })"#,
        "SELECT key || value FROM tag WHERE key NOT LIKE 'windlass%'",
    ),
    (
        "UntagCertificateAuthority",
        r#"pca::untag_certificate_authority(ca, ["Name"])"#,
        "SELECT key || value FROM tag WHERE key NOT LIKE 'windlass%'",
    ),
    (
        "CreatePermission",
        r#"pca::create_permission(pending, #{ principal: "acm.amazonaws.com", actions: ["IssueCertificate"] })"#,
        "SELECT authority || actions FROM permission",
    ),
    (
        "DeletePermission",
        r#"pca::delete_permission(ca, #{ principal: "acm.amazonaws.com" })"#,
        "SELECT authority || actions FROM permission",
    ),
    (
        "PutPolicy",
        r#"let policy = pca::get_policy(ca); policy.replace(ca, pending); pca::put_policy(pending, policy)"#,
        "SELECT authority FROM policy",
    ),
    (
        "DeletePolicy",
        "pca::delete_policy(ca)",
        "SELECT authority FROM policy",
    ),
    (
        "RevokeCertificate",
        "pca::revoke_certificate(ca, #{ serial: inputs.serial, reason: \"SUPERSEDED\" })",
        "SELECT serial FROM revocation",
    ),
    (
        "CreateCertificateAuthorityAuditReport",
        r#"pca::create_audit_report(ca, #{ bucket: "audits" })"#,
        "SELECT DISTINCT authority FROM report",
    ),
];

const SETUP: &str = r##"workflow: setup
steps:
  all:
    run: |
      let make = |name| pca::create_certificate_authority(#{ type: "ROOT", subject: #{ common_name: name }, key_algorithm: "EC_prime256v1", signing_algorithm: "SHA256WITHECDSA", tags: #{ Name: name } });
      let ca = make.call("ca");
      let pending = make.call("pending");
      let deleted = make.call("deleted");
      for ca in [ca, pending, deleted] { pca::wait_until_csr_ready(ca); }
      let own = pca::issue_certificate(ca, #{ csr: pca::certificate_authority_csr(ca), template: "RootCACertificate/V1", validity: "30d", signing_algorithm: "SHA256WITHECDSA" });
      let root = pca::wait_until_issued(ca, own);
      pca::import_certificate_authority_certificate(ca, #{ certificate: root.certificate });
      pca::wait_until_active(ca);
      pca::delete_certificate_authority(deleted, #{ restore_within_days: 7 });
      pca::create_permission(ca, #{ principal: "acm.amazonaws.com", actions: ["IssueCertificate"] });
      let statement = #{ Sid: "1", Effect: "Allow", Principal: #{ AWS: "111122223333" }, Action: ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate", "acm-pca:GetCertificateAuthorityCertificate", "acm-pca:ListPermissions", "acm-pca:ListTags"], Resource: ca };
      pca::put_policy(ca, json::stringify(#{ Version: "2012-10-17", Statement: [statement] }));
      let csr = csr::create(key::generate("EC_prime256v1"), #{ subject: #{ common_name: "leaf" } });
      let leaf = pca::issue_certificate(ca, #{ csr: csr, validity: "1d", signing_algorithm: "SHA256WITHECDSA" });
      let serial = x509::read(pca::wait_until_issued(ca, leaf).certificate).serial;
      #{ ca: ca, pending: pending, deleted: deleted, csr: csr, serial: serial }
outputs: { ca: "${{ steps.all.ca }}", pending: "${{ steps.all.pending }}", deleted: "${{ steps.all.deleted }}", csr: "${{ steps.all.csr }}", serial: "${{ steps.all.serial }}" }
"##;

/// How a run goes on that was answered so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    Resumed,
    /// More than AWS's five minutes later.
    ResumedLater,
    Undone,
}

/// Passes requests on to a server that may be replaced. The first request of one operation is done and answered with a
/// reply; the SDK's own repetitions of it are answered so as well, and not done.
struct Late {
    address: String,
    server: Arc<Mutex<String>>,
    hits: Arc<AtomicUsize>,
}

/// As often as the SDK tries a request.
const SDK_ATTEMPTS: usize = 4;

impl Late {
    fn start(operation: &'static str, reply: Option<(u16, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (server, hits) = (Arc::new(Mutex::new(String::new())), Arc::default());
        let late = Self {
            address,
            server,
            hits,
        };
        let (server, hits) = (late.server.clone(), late.hits.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, hits) = (server.clone(), hits.clone());
                thread::spawn(move || pass(client, &server, &hits, operation, reply));
            }
        });
        late
    }

    fn is_before(&self, served: &Served) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        served.address().clone_into(&mut server);
    }
}

fn pass(
    client: TcpStream,
    server: &Mutex<String>,
    hits: &AtomicUsize,
    operation: &str,
    reply: Option<(u16, &str)>,
) -> Option<()> {
    let mut reader = BufReader::new(client);
    while let Some(request) = read_request(&mut reader) {
        let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let target = format!("acmprivateca.{operation}\r\n").to_ascii_lowercase();
        let hit = if head.contains(&target) {
            hits.fetch_add(1, Ordering::SeqCst)
        } else {
            usize::MAX
        };
        let address = server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let answer = match hit {
            1..SDK_ATTEMPTS => Vec::new(),
            _ => forward(&address, &request),
        };
        let answer = match (hit < SDK_ATTEMPTS, reply) {
            (false, _) => answer,
            (true, None) => return None,
            (true, Some((status, body))) => format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        };
        reader.get_mut().write_all(&answer).ok()?;
    }
    None
}

struct World {
    test: Test,
    late: Late,
    /// What drives the runs, if it is an engine.
    _engine: Option<Box<dyn Any>>,
    served: Option<Served>,
    /// Whether all of it happens ten minutes ago.
    is_past: bool,
}

impl World {
    fn new(case: usize, then: Then) -> Self {
        let (operation, body, _) = OPERATIONS[case % OPERATIONS.len()];
        let (_, reply) = REPLIES[case / OPERATIONS.len() % REPLIES.len()];
        let script = "workflow: op\nparams:\n  ca: { type: string }\n  pending: { type: string }\n  deleted: { type: string }\n  \
             csr: { type: string }\n  serial: { type: string }\nsteps:\n  op:\n    script: op.rhai\n    with: { ca: \"${{ params.ca }}\", \
             pending: \"${{ params.pending }}\", deleted: \"${{ params.deleted }}\", csr: \"${{ params.csr }}\", serial: \"${{ params.serial }}\" }\n";
        let body = format!(
            "const INPUTS = #{{ ca: \"string\", pending: \"string\", deleted: \"string\", csr: \"string\", serial: \"string\" }};\n\
             fn run(inputs) {{\n    let ca = inputs.ca; let pending = inputs.pending; let deleted = inputs.deleted;\n    {body};\n    #{{}}\n}}\n"
        );
        let test = Test::new()
            .file("setup.yaml", SETUP)
            .file("op.yaml", script)
            .file("op.rhai", &body);
        let late = Late::start(operation, reply);
        let mut world = Self {
            test,
            late,
            _engine: None,
            served: None,
            is_past: then == Then::ResumedLater,
        };
        world.serve();
        world
    }

    fn serve(&mut self) {
        self.served = None;
        let served = if self.is_past {
            let serve = [
                "pca",
                "serve",
                "--port",
                "0",
                "--dir",
                ".windlass/pca",
                "--insecure",
            ];
            Served::start_by(past(self.test.command(&serve)))
        } else {
            Served::start_in(&self.test, ".windlass/pca", &[])
        };
        self.late.is_before(&served);
        let target = |name: &str, address: &str| {
            format!(
                "[targets.{name}]\npca = {{ endpoint = \"http://{address}\", region = \"us-east-1\" }}\n"
            )
        };
        let targets = [
            target("direct", served.address()),
            target("late", &self.late.address),
        ]
        .concat();
        self.test.write("windlass.toml", &targets);
        self.served = Some(served);
    }

    fn windlass(&self, arguments: &[&str]) -> Ran {
        let command = self.test.command(arguments);
        let mut command = if self.is_past { past(command) } else { command };
        let output = command
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .output();
        Ran::from_output(output.expect("windlass starts"))
    }

    fn run(&mut self, drive: Drive) -> Ran {
        self.windlass(&["run", "setup.yaml", "--target", "direct"])
            .expect(0);
        let outputs = self.windlass(&["outputs", "--json"]).expect(0).stdout;
        self.test.write("params.yaml", &outputs);
        self._engine = drive.map(|start| start(&mut self.test));
        let run = [
            "run",
            "op.yaml",
            "--params",
            "params.yaml",
            "--target",
            "late",
        ];
        self.windlass(&run)
    }

    fn there(&self, query: &str) -> Vec<String> {
        let arns: Vec<String> = on_the_server(&self.test, "SELECT arn FROM authority");
        // The ARNs of another world are others.
        on_the_server(&self.test, query)
            .into_iter()
            .map(|row| arns.iter().fold(row, |row, arn| row.replace(arn, "CA")))
            .map(|row| {
                if row.len() == 32 && !row.contains('{') {
                    "SERIAL".to_owned()
                } else {
                    row
                }
            })
            .collect()
    }
}

/// The same command ten minutes ago. `faketime` itself would stand between a server and who ends it.
fn past(mut command: Command) -> Command {
    command
        .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
        .env("FAKETIME", "-10m");
    command
}

/// Without the library a command of the past would be one of now.
fn check_past() {
    let mut date = Command::new("date");
    date.arg("+%s");
    let output = past(date).output().expect("date");
    let then: u64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .expect("seconds");
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_secs();
    assert!(
        now > then + 500,
        "libfaketime is not installed (apt-get install faketime)"
    );
}

/// Starts what drives the runs of a folder from now on, if not the command itself.
pub type Drive<'a> = Option<&'a dyn Fn(&mut Test) -> Box<dyn Any>>;

/// One case; says whether somebody had to be asked.
pub fn tried(case: usize, then: Then, drive: Drive) -> bool {
    let (operation, _, query) = OPERATIONS[case % OPERATIONS.len()];
    let (reply, _) = REPLIES[case / OPERATIONS.len() % REPLIES.len()];
    let about = format!("{operation}, {reply}, {then:?}");
    let mut world = World::new(case, then);
    // What is there before the operation, and what one operation leaves.
    let ran = world.run(drive);
    let done = world.there(query);
    let hits = world.late.hits.swap(SDK_ATTEMPTS, Ordering::SeqCst);
    assert_eq!(ran.code, 1, "{about}: {}", ran.stderr);
    assert_ne!(hits, 0, "{about}: {}", ran.stderr);
    if world.is_past {
        world.is_past = false;
        world.serve();
    }
    if then == Then::Undone {
        let undone = world.windlass(&["undo", "--yes"]);
        assert_eq!(undone.code, 0, "{about}: {}", undone.stderr);
        let json = world.windlass(&["show", "--json"]).expect(0).json();
        assert_eq!(json["status"], "undone", "{about}");
        check_undone(&world, operation, &about);
        return false;
    }
    let resumed = world.windlass(&["resume"]);
    let is_asked = resumed.stderr.contains("[in-doubt]") || resumed.stderr.contains("in-doubt");
    if is_asked {
        // Only of a certificate AWS can't say whether it was issued, once it has forgotten the token.
        assert_eq!(
            (operation, then),
            ("IssueCertificate", Then::ResumedLater),
            "{about}: {}",
            resumed.stderr
        )
    } else {
        assert_eq!(resumed.code, 0, "{about}: {}", resumed.stderr)
    }
    assert_eq!(world.there(query), done, "{about}: it was done twice");
    is_asked
}

fn check_undone(world: &World, operation: &str, about: &str) {
    let is_reversed = |query: &str, wanted: &[&str]| {
        assert_eq!(world.there(query), wanted, "{about}");
    };
    match operation {
        "CreateCertificateAuthority" => is_reversed(
            "SELECT name FROM (SELECT configuration AS name, status FROM authority) WHERE name LIKE '%new%' AND status <> 'DELETED'",
            &[],
        ),
        "IssueCertificate" => is_reversed("SELECT 'revoked' FROM revocation", &["revoked"]),
        "ImportCertificateAuthorityCertificate" => is_reversed(
            "SELECT status FROM authority",
            &["ACTIVE", "DELETED", "DISABLED"],
        ),
        "UpdateCertificateAuthority"
        | "DeleteCertificateAuthority"
        | "RestoreCertificateAuthority" => is_reversed(
            "SELECT status FROM authority",
            &["ACTIVE", "DELETED", "PENDING_CERTIFICATE"],
        ),
        "TagCertificateAuthority" | "UntagCertificateAuthority" => is_reversed(
            "SELECT key || value FROM tag WHERE key NOT LIKE 'windlass%'",
            &["Nameca", "Namedeleted", "Namepending"],
        ),
        "CreatePermission" | "DeletePermission" => is_reversed(
            "SELECT actions FROM permission",
            &["[\"IssueCertificate\"]"],
        ),
        "PutPolicy" | "DeletePolicy" => is_reversed("SELECT 'one' FROM policy", &["one"]),
        _ => {}
    }
}

/// Without the stride that CI takes, every case there is.
const STRIDE: usize = 6;
/// Most of the time is spent in the SDK's pauses.
const WORKERS: usize = 8;

#[test]
fn a10_every_operation_of_pca_is_settled_whatever_it_is_answered() {
    check_past();
    let stride = env::var("WINDLASS_CRASH_STRIDE").map_or(STRIDE, |text| match text.as_str() {
        "1" => 1,
        _ => STRIDE,
    });
    let cases = OPERATIONS.len() * REPLIES.len();
    let all: Vec<(usize, Then)> = [Then::Resumed, Then::ResumedLater, Then::Undone]
        .into_iter()
        .enumerate()
        // Each way takes other replies, and every operation.
        .flat_map(|(n, then)| {
            (0..cases)
                .filter(move |case| {
                    (case / OPERATIONS.len() + case % OPERATIONS.len() + 2 * n)
                        .is_multiple_of(stride)
                })
                .map(move |case| (case, then))
        })
        .collect();
    let (next, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((case, then)) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let is_asked = tried(*case, *then, None);
                    asked.fetch_add(usize::from(is_asked), Ordering::SeqCst);
                }
            });
        }
    });
    println!(
        "requests made to fail after the act: {} of {}; questions asked: {}; CAs orphaned: 0, effects done twice: 0",
        all.len(),
        cases * 3,
        asked.into_inner()
    );
}

/// What the next attempt of the SDK is refused proves nothing about the first.
#[test]
fn a10_a_refusal_after_a_lost_answer_proves_nothing() {
    // The fault strikes each attempt: the second one finds the CA deleted.
    let test = Test::new().file("setup.yaml", SETUP).file(
        "op.yaml",
        "workflow: op\nparams: { ca: { type: string } }\nsteps:\n  op: { script: op.rhai, with: { ca: \"${{ params.ca }}\" } }\n",
    );
    test.write(
        "op.rhai",
        "const INPUTS = #{ ca: \"string\" };\nfn run(inputs) {\n    try { pca::restore_certificate_authority(inputs.ca) } catch (e) { throw `unknown: ${e.is_unknown}` }\n}\n",
    );
    let served = Served::start_in(&test, ".windlass/pca", &[]);
    let target = |served: &Served| {
        format!(
            "[targets.t]\npca = {{ endpoint = \"http://{}\", region = \"us-east-1\" }}\n",
            served.address()
        )
    };
    let windlass = |arguments: &[&str]| {
        let mut command = test.command(arguments);
        command
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "x");
        Ran::from_output(command.output().expect("windlass starts"))
    };
    test.write("windlass.toml", &target(&served));
    windlass(&["run", "setup.yaml", "--target", "t"]).expect(0);
    let pending = windlass(&["outputs", "--json"]).expect(0).json()["pending"].clone();
    let ca = format!("ca={}", pending.as_str().expect("an ARN"));
    drop(served);
    let fault = [
        "--fault",
        "DeleteCertificateAuthority:ServiceUnavailableException:100%:after",
    ];
    let served = Served::start_in(&test, ".windlass/pca", &fault);
    test.write("windlass.toml", &target(&served));
    test.write(
        "op.rhai",
        "const INPUTS = #{ ca: \"string\" };\nfn run(inputs) { pca::delete_certificate_authority(inputs.ca, #{ restore_within_days: 7 }); #{} }\n",
    );
    // It finds out by itself that the CA is deleted.
    windlass(&["run", "op.yaml", "--target", "t", "-p", &ca]).expect_one_of(&[0, 1]);
    windlass(&["resume"]).expect_one_of(&[0, 2]);
    let deleted = on_the_server(&test, "SELECT arn FROM authority WHERE status = 'DELETED'");
    assert_eq!(deleted.len(), 2, "{deleted:?}");
}

/// The target of tests without a server: it allows two programs.
const TARGET: &str =
    "[targets.t]\nexec = [\"sh\", \"no-such-program\"]\npca = { region = \"us-east-1\" }\n";
const RUN: [&str; 4] = ["run", "w.yaml", "--target", "t"];

/// A folder whose runs an engine drives, if there is one.
struct Driven<'a> {
    engine: Option<Box<dyn Any>>,
    test: Test,
    drive: Drive<'a>,
}

impl<'a> Driven<'a> {
    /// Of a workflow with one step.
    fn one_step(body: &str, drive: Drive<'a>) -> Self {
        let text = format!("workflow: w\nsteps:\n  s:\n    run: |\n      {body}\n");
        Self::of(Test::new().file("w.yaml", &text), drive)
    }

    fn of(test: Test, drive: Drive<'a>) -> Self {
        test.write("windlass.toml", TARGET);
        let mut driven = Self {
            engine: None,
            test,
            drive,
        };
        driven.renew();
        driven
    }

    /// Has the engine open the target anew.
    fn renew(&mut self) {
        self.engine = None;
        self.engine = self.drive.map(|start| start(&mut self.test));
    }
}

impl Deref for Driven<'_> {
    type Target = Test;

    fn deref(&self) -> &Test {
        &self.test
    }
}

/// What a POST is answered, and whether that says that it was done.
pub const POSTS: [(&[u16], bool); 5] = [
    (&[201], true),
    (&[303], true),
    (&[302], false),
    (&[503], false),
    (&[408], false),
];

/// A request that was done and answered in another way than was expected is not sent again, and its undo is.
#[test]
fn a10_a_post_that_was_done_is_not_done_again() {
    for case in POSTS {
        post(case, None);
    }
}

pub fn post((statuses, is_done): (&'static [u16], bool), drive: Drive) {
    let site = Site::open(statuses);
    let url = format!("{}/x", site.address());
    let undo = format!("#{{ method: \"DELETE\", url: \"{url}\" }}");
    let body = format!("http::post(\"{url}\", #{{ expect: [200], undo: {undo} }})");
    let test = Driven::one_step(&body, drive);
    test.windlass(&RUN).expect(1);
    let resumed = test.windlass(&["resume"]).expect(1);
    assert!(
        resumed.stderr.contains("in-doubt"),
        "{statuses:?}: {}",
        resumed.stderr
    );
    assert_eq!(
        resumed.stderr.contains("was done, but"),
        is_done,
        "{statuses:?}: {}",
        resumed.stderr
    );
    assert_eq!(site.requests(), ["POST /x"], "{statuses:?}");
    // A resume that asks again, and an undo of what is known to be done.
    test.windlass(&["resume"]).expect(1);
    assert_eq!(site.requests(), ["POST /x"], "{statuses:?}");
    // Of one that may have been made, only a person knows.
    let undone = test.windlass(&["undo", "--yes"]);
    if is_done {
        undone.expect(0);
        assert_eq!(site.requests(), ["POST /x", "DELETE /x"], "{statuses:?}");
    } else {
        undone.expect(1).says("--answer 's=done'");
        assert_eq!(site.requests(), ["POST /x"], "{statuses:?}");
    }
}

#[test]
fn a10_the_operator_says_what_became_of_a_post() {
    answered_post(None);
}

pub fn answered_post(drive: Drive) {
    for (answer, requests) in [("s=done", 1), ("s=again", 2)] {
        let site = Site::open(&[201]);
        let body = format!("http::post(\"{}/x\", #{{ expect: [200] }})", site.address());
        let test = Driven::one_step(&body, drive);
        test.windlass(&RUN).expect(1);
        test.windlass(&["resume", "--answer", answer]).expect(0);
        assert_eq!(site.requests().len(), requests, "{answer}");
        assert_eq!(status(&test.shown(), "s"), "succeeded");
        test.windlass(&["audit"]).expect(0);
    }
}

/// Statuses that prove that nothing was done.
pub const REFUSALS: [&[u16]; 4] = [&[400], &[404], &[409], &[429]];

#[test]
fn a10_a_refused_request_is_made_again() {
    for statuses in REFUSALS {
        refused_post(statuses, None);
    }
}

pub fn refused_post(statuses: &'static [u16], drive: Drive) {
    let site = Site::open(statuses);
    let test = Driven::one_step(&format!("http::post(\"{}/x\")", site.address()), drive);
    test.windlass(&RUN).expect(1);
    test.windlass(&["resume"]).expect(0);
    assert_eq!(site.requests().len(), 2, "{statuses:?}");
}

/// What a repeated DELETE does not find, the first one has deleted.
#[test]
fn a10_a_delete_in_doubt_is_done() {
    delete_in_doubt(None);
}

pub fn delete_in_doubt(drive: Drive) {
    let site = Site::open(&[503, 404]);
    let test = Driven::one_step(&format!("http::delete(\"{}/x\")", site.address()), drive);
    test.windlass(&RUN).expect(1);
    test.windlass(&["resume"]).expect(0);
    assert_eq!(site.requests(), ["DELETE /x", "DELETE /x"]);
    // One that was never sent before is not found.
    let site = Site::open(&[404]);
    let test = Driven::one_step(&format!("http::delete(\"{}/x\")", site.address()), drive);
    test.windlass(&RUN).expect(1);
}

#[test]
fn a10_a_program_that_failed_may_have_done_its_work() {
    program(None);
}

pub fn program(drive: Drive) {
    let body = |options: &str| {
        format!("exec::run(\"sh\", [\"-c\", \"echo x >> done; test -e ok\"], #{{ {options} }})")
    };
    for (options, is_asked) in [("", true), ("idempotent: true", false)] {
        let test = Driven::one_step(&body(options), drive);
        test.windlass(&RUN).expect(1);
        test.write("out/ok", "");
        let resumed = test.windlass(&["resume"]).expect(i32::from(is_asked));
        let times = || test.read("out/done").lines().count();
        if is_asked {
            resumed.says("in-doubt");
            assert_eq!(times(), 1);
            test.windlass(&["resume", "--answer", "s=again"]).expect(0);
        } else {
            assert_eq!(times(), 2)
        }
    }
    // What could not be started did nothing.
    let test = Driven::one_step("exec::run(\"no-such-program\", [])", drive);
    test.windlass(&RUN).expect(1);
    let resumed = test.windlass(&["resume"]).expect(1);
    assert!(!resumed.stderr.contains("in-doubt"), "{}", resumed.stderr);
}

fn kubectl(served: &Clusters, arguments: &[&str]) -> String {
    let output = Command::new("kubectl")
        .args(["--kubeconfig", &served.kubeconfig, "--context", "mgmt"])
        .args(arguments)
        .output()
        .expect("kubectl is installed (apt-get install kubernetes-client)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The verb and the call of each change of a cluster.
pub const CHANGES: [(&str, &str); 6] = [
    (
        "patch",
        "kube::apply(\"mgmt\", #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{ name: \"new\", namespace: \"default\" }, data: #{ a: \"1\" } })",
    ),
    (
        "patch",
        "kube::apply_secret(\"mgmt\", \"default\", \"new\", #{ a: \"1\" })",
    ),
    (
        "patch",
        "kube::patch(\"mgmt\", \"\", \"namespace/default\", #{ metadata: #{ labels: #{ patched: \"yes\" } } })",
    ),
    (
        "patch",
        "kube::patch(\"mgmt\", \"\", \"namespace/default\", [#{ op: \"add\", path: \"/metadata/labels/patched\", value: \"yes\" }], #{ type: \"json\" })",
    ),
    (
        "delete",
        "kube::delete(\"mgmt\", \"default\", \"configmap/old\")",
    ),
    (
        "patch",
        "kube::restart(\"mgmt\", \"gloo-mesh\", \"deployment/gloo-mesh-mgmt-server\")",
    ),
];

/// Every call that changes a cluster, answered by each failure after the act.
#[test]
fn a10_every_call_to_a_cluster_is_settled_whatever_it_is_answered() {
    let mut tried = 0;
    for n in 0..CHANGES.len() {
        for undoes in [false, true] {
            change(n, undoes, None);
            tried += 1;
        }
    }
    println!("requests made to fail after the act on a cluster: {tried}; effects done twice: 0");
}

pub fn change(n: usize, undoes: bool, drive: Drive) {
    let (verb, call) = CHANGES[n];
    let code = ["500", "503", "504", "cut"][n % 4];
    let text = format!("workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    run: |\n      {call};\n");
    let mut test = Driven::of(Test::new().file("w.yaml", &text), drive);
    let serve = |test: &mut Driven, options: &[&str]| {
        let served = Clusters::serve(test, &["mgmt".to_owned()], options);
        test.write(
            "windlass.toml",
            &format!(
                "[targets.t]\nkube_patience = \"100ms\"\n{}",
                served.of_target()
            ),
        );
        test.renew();
        served
    };
    let fault = format!("{verb}:*:{code}:100%:after");
    let served = serve(&mut test, &["--fault", &fault]);
    kubectl(&served, &["create", "configmap", "old"]);
    // A DELETE that is sent again finds nothing, which is what was wanted.
    let codes: &[i32] = if verb == "delete" { &[0, 1] } else { &[1] };
    test.windlass(&RUN).expect_one_of(codes);
    drop(served);
    let served = serve(&mut test, &[]);
    let get = |object: &[&str]| {
        let found = kubectl(&served, &[&["get", "-o", "json"], object].concat());
        serde_json::from_str(&found).unwrap_or(Json::Null)
    };
    let deployment = ["-n", "gloo-mesh", "deployment/gloo-mesh-mgmt-server"];
    let generation = get(&deployment)["metadata"]["generation"].clone();
    if !undoes {
        test.windlass(&["resume"]).expect_one_of(&[0, 2]);
        // A restart is not made twice.
        assert_eq!(
            get(&deployment)["metadata"]["generation"],
            generation,
            "{call}"
        );
    } else {
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(get(&["configmap/new"]), Json::Null, "{call}");
        assert_eq!(get(&["secret/new"]), Json::Null, "{call}");
        let labels = get(&["namespace/default"])["metadata"]["labels"].clone();
        assert_eq!(labels["patched"], Json::Null, "{call}");
        assert_ne!(get(&["configmap/old"]), Json::Null, "{call}");
    }
}
