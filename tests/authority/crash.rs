//! `kill -9` at any moment, and several servers with the same folder.
//!
//! The process that is killed is this test binary itself, started again to serve a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use windlass::authority::{Options, Server};

use crate::authority::lab::{Lab, call, csr, text, try_call};
use crate::harness::{Ends, number_of};

const CONNECTIONS: usize = 64;
const FOLDER: &str = "WINDLASS_TEST_SERVE";

/// Not a test: the server that the tests start and kill.
#[test]
#[ignore = "started by the other tests of this file"]
fn serve() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let server = Server::start(Options::local(folder.into())).await.unwrap();
        println!("\nserves {}", server.address());
        server.run_until(std::future::pending()).await;
    });
}

/// A server in a separate process, killed when dropped.
struct Other {
    _server: Ends,
    address: SocketAddr,
}

impl Other {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "authority::crash::serve",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("serves ")?.parse().ok())
            .unwrap();
        Self {
            _server: Ends(child),
            address,
        }
    }
}

fn issue_input(arn: &str, request: &str, token: &str) -> Value {
    json!({
        "CertificateAuthorityArn": arn,
        "Csr": data_encoding::BASE64.encode(request.as_bytes()),
        "SigningAlgorithm": "SHA256WITHECDSA",
        "Validity": { "Type": "DAYS", "Value": 30 },
        "IdempotencyToken": token,
    })
}

/// `WINDLASS_LOAD=10000` sets the number of certificates.
#[test]
fn nothing_is_lost_when_a_server_is_killed_under_load() {
    let wanted: usize = number_of("WINDLASS_LOAD", 400);
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let request = csr("leaf", &[]);
    let answered: Mutex<BTreeMap<usize, String>> = Mutex::default();
    let issue_all = |address: SocketAddr, killed: &AtomicBool| {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if number >= wanted {
                            return;
                        }
                        if answered.lock().unwrap().contains_key(&number) {
                            continue;
                        }
                        let input = issue_input(&root, &request, &format!("token-{number}"));
                        // A connection that breaks is not a response.
                        match try_call(address, "IssueCertificate", &input, None) {
                            Ok(Ok(answer)) => {
                                let arn = text(&answer, "CertificateArn");
                                answered.lock().unwrap().insert(number, arn);
                            }
                            _ if killed.load(Ordering::SeqCst) => return,
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
        });
    };
    let other = Other::start(&lab.state());
    let (address, killed) = (other.address, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| issue_all(address, &killed));
        while answered.lock().unwrap().len() < wanted / 2 {
            std::thread::yield_now();
        }
        killed.store(true, Ordering::SeqCst);
        drop(other);
    });
    let before = answered.lock().unwrap().clone();
    let again = Other::start(&lab.state());
    for (number, arn) in before.iter().step_by(1 + before.len() / 500) {
        let of = json!({ "CertificateAuthorityArn": root, "CertificateArn": arn });
        call(again.address, "GetCertificate", &of, None).unwrap();
        let input = issue_input(&root, &request, &format!("token-{number}"));
        let repeated = call(again.address, "IssueCertificate", &input, None).unwrap();
        assert_eq!(
            &text(&repeated, "CertificateArn"),
            arn,
            "the token is remembered too"
        );
    }
    issue_all(again.address, &AtomicBool::new(false));
    let arns: BTreeSet<_> = answered.into_inner().unwrap().into_values().collect();
    assert_eq!(arns.len(), wanted);
    // The server's count: the certificates that were answered, and the root's own; none is lost or issued twice.
    let database = rusqlite::Connection::open(lab.state().join("authority.db")).unwrap();
    let issued: usize = database
        .query_row("SELECT count(*) FROM certificate", [], |row| row.get(0))
        .unwrap();
    assert_eq!(issued, wanted + 1);
    println!(
        "{wanted} certificates, killed after {}: lost 0, issued twice 0",
        before.len()
    );
}

#[test]
fn two_servers_with_the_same_folder_act_as_one_service() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let request = csr("leaf", &[]);
    let other = Other::start(&lab.state());
    let both = [lab.address, other.address];
    // Each request goes to both servers at once with the same token, so it must result in one certificate.
    for number in 0..40 {
        let input = issue_input(&root, &request, &format!("token-{number}"));
        let arns = std::thread::scope(|scope| {
            both.map(|address| {
                let input = &input;
                scope.spawn(move || call(address, "IssueCertificate", input, None).unwrap())
            })
            .map(|thread| text(&thread.join().unwrap(), "CertificateArn"))
        });
        assert_eq!(arns[0], arns[1]);
        let of = json!({ "CertificateAuthorityArn": root, "CertificateArn": arns[0] });
        call(other.address, "GetCertificate", &of, None).unwrap();
    }
    let disable = json!({ "CertificateAuthorityArn": root, "Status": "DISABLED" });
    call(other.address, "UpdateCertificateAuthority", &disable, None).unwrap();
    assert_eq!(lab.status(&root), "DISABLED");
    assert_eq!(
        lab.issue(&root, &request, json!({})).unwrap_err().0,
        "InvalidStateException"
    );
}

#[test]
fn several_servers_can_start_at_once_with_an_empty_folder() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let starts: Vec<_> = (0..6)
                .map(|_| tokio::spawn(Server::start(Options::local(folder.path().to_owned()))))
                .collect();
            for start in starts {
                start.await.unwrap().unwrap().stop().await;
            }
        });
    }
}

#[test]
fn a_folder_of_another_version_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("authority.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::local(folder.path().to_owned());
    let refused = runtime
        .block_on(Server::start(options))
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("version 99") && refused.contains("version 4"),
        "{refused}"
    );
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_keys() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    lab.root("root", json!({}));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&lab.state()), 0o700);
    for file in std::fs::read_dir(lab.state()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
