//! The client of AWS Private CA, from scripts: every function, the policy it needs, and another
//! server than ours.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::harness::{Ends, Test, skip, until};

const EVERYTHING: &str = r##"//! Calls every function of `pca`.
fn run(inputs) {
    let ca = pca::create_certificate_authority(#{
        type: "ROOT",
        subject: #{ common_name: "Everything", organization: "Windlass" },
        key_algorithm: "EC_prime256v1",
        usage_mode: "GENERAL_PURPOSE",
        key_storage_security_standard: "FIPS_140_2_LEVEL_3_OR_HIGHER",
        revocation: #{ crl: #{ bucket: "lists", expiration_in_days: 7, custom_path: "mesh", omit_extension: true }, ocsp: #{ custom_cname: "ocsp.example.com" } },
        tags: #{ Name: "everything" },
    });
    pca::wait_until_csr_ready(ca);
    let made = pca::describe_certificate_authority(ca);
    check(made.usage_mode == "GENERAL_PURPOSE" && made.key_storage_security_standard.ends_with("LEVEL_3_OR_HIGHER"), "settings");
    let crl = made.revocation.crl;
    check(crl.bucket == "lists" && crl.expiration_in_days == 7 && crl.custom_path == "mesh" && crl.omit_extension, "revocation lists");
    check(made.revocation.ocsp.custom_cname == "ocsp.example.com", "responder");
    let csr = pca::certificate_authority_csr(ca);
    let own = pca::issue_certificate(ca, #{ csr: csr, template: "RootCACertificate/V1", validity: #{ type: "YEARS", value: 2 }, signing_algorithm: "SHA256WITHECDSA" });
    let root = pca::wait_until_issued(ca, own);
    pca::import_certificate_authority_certificate(ca, #{ certificate: root.certificate });
    pca::wait_until_active(ca);
    check(pca::certificate_authority_certificate(ca).certificate == root.certificate, "own certificate");

    pca::tag_certificate_authority(ca, #{ team: "pki", Name: "changed" });
    pca::untag_certificate_authority(ca, ["team"]);
    let tags = pca::list_tags(ca);
    check(tags.Name == "changed" && !("team" in tags), "tags");

    let key = key::generate("EC_prime256v1");
    let request = csr::create(key, #{ subject: #{ common_name: "leaf" } });
    let leaf = pca::issue_certificate(ca, #{
        csr: request,
        template: "BlankEndEntityCertificate_APIPassthrough/V1",
        validity: "30d",
        signing_algorithm: "SHA256WITHECDSA",
        api_passthrough: #{
            subject: #{ common_name: "passed", organization: "through" },
            dns_names: ["a.example", "b.example"],
            key_usage: ["digitalSignature", "keyAgreement"],
            extended_key_usage: ["CODE_SIGNING", "1.3.6.1.5.5.7.3.9"],
            certificate_policies: ["1.2.3.4"],
            custom_extensions: [#{ oid: "1.3.6.1.4.1.99999.1", value: "BAMBAgM=", critical: false }],
        },
    });
    let signed = pca::wait_until_issued(ca, leaf);
    let again = pca::get_certificate(ca, leaf);
    check(again.certificate == signed.certificate, "get");
    file::write("leaf.pem", signed.certificate);
    let read = x509::read(signed.certificate);
    pca::revoke_certificate(ca, #{ serial: read.serial, reason: "SUPERSEDED" });
    pca::revoke_certificate(ca, #{ serial: read.serial, reason: "SUPERSEDED" });

    let report = pca::create_audit_report(ca, #{ bucket: "audit", format: "JSON" });
    check(pca::wait_until_audit_report(ca, report).status == "SUCCESS", "report");
    check(pca::describe_audit_report(ca, report).bucket == "audit", "report's bucket");

    let actions = ["IssueCertificate", "GetCertificate", "ListPermissions"];
    let permission = #{ principal: "acm.amazonaws.com", actions: actions };
    pca::create_permission(ca, permission);
    pca::create_permission(ca, permission);
    check(pca::list_permissions(ca)[0].principal == "acm.amazonaws.com", "permission");
    pca::delete_permission(ca, #{ principal: "acm.amazonaws.com" });
    check(pca::list_permissions(ca).len() == 0, "no permission");

    let policy = json::stringify(#{ Version: "2012-10-17", Statement: [#{
        Sid: "1", Effect: "Allow", Principal: #{ AWS: "222233334444" },
        Action: ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate", "acm-pca:GetCertificateAuthorityCertificate", "acm-pca:ListPermissions", "acm-pca:ListTags"],
        Resource: ca,
    }] });
    pca::put_policy(ca, policy);
    check(pca::get_policy(ca).contains("222233334444"), "policy");
    pca::delete_policy(ca);

    pca::disable_certificate_authority(ca);
    check(pca::describe_certificate_authority(ca).status == "DISABLED", "disabled");
    let why = "";
    try { pca::wait_until_active(ca) } catch (e) { why = e.message; }
    check(why.contains("is DISABLED"), why);
    pca::enable_certificate_authority(ca);
    pca::disable_certificate_authority(ca);
    pca::delete_certificate_authority(ca, #{ restore_within_days: 7 });
    check(pca::describe_certificate_authority(ca).status == "DELETED", "deleted");
    pca::restore_certificate_authority(ca);
    check(pca::list_certificate_authorities().len() == 1, "one CA");
    #{}
}

fn check(holds, what) {
    if !holds { throw what; }
}
"##;

fn everything() -> Test {
    Test::new()
        .file(
            "w.yaml",
            "workflow: everything\nsteps:\n  all: { script: everything.rhai }\n",
        )
        .file("everything.rhai", EVERYTHING)
}

#[test]
fn every_function_works_on_the_embedded_ca() {
    let test = everything();
    test.windlass(&["run", "w.yaml"]).expect(0);
    let text = test
        .openssl(&["x509", "-in", "out/leaf.pem", "-noout", "-text"])
        .expect(0)
        .stdout;
    for part in [
        "O = through",
        "CN = passed",
        "DNS:a.example, DNS:b.example",
        "Digital Signature, Key Agreement",
        "Code Signing, OCSP Signing",
        "Policy: 1.2.3.4",
        "1.3.6.1.4.1.99999.1",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_failure_says_what_to_do() {
    let arn = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/11111111-2222-3333-4444-555555555555";
    let test = Test::new().file(
        "w.yaml",
        &format!(
            "workflow: w\nsteps:\n  a: {{ run: 'pca::certificate_authority_csr(\"{arn}\")' }}\n"
        ),
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    for part in [
        "GetCertificateAuthorityCsr: ResourceNotFoundException",
        "request id",
    ] {
        ran.says(part);
    }
    let server = Served::start(&test, &["--fault", "*:AccessDeniedException:100%"]);
    test.write("windlass.toml", &server.target());
    let ran = signed(test.command(&["run", "w.yaml", "--target", "here"]));
    let words = ran.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint =
        format!("the caller needs the IAM action `acm-pca:GetCertificateAuthorityCsr` on {arn}");
    // The hint may be broken over lines inside the ARN.
    assert!(
        words.replace(' ', "").contains(&hint.replace(' ', "")),
        "{ran}"
    );
}

/// The actions that a policy allows.
fn allowed(policy: &serde_json::Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().expect("statements").iter();
    let actions = statements.flat_map(|one| one["Action"].as_array().expect("actions"));
    let names = actions.map(|action| action.as_str().expect("text"));
    names
        .map(|name| name.trim_start_matches("acm-pca:").to_owned())
        .collect()
}

/// The policy allows the calls that a run and its undo make, and nothing else.
#[test]
fn the_iam_policy_is_what_a_run_calls() {
    for (test, file) in [
        (everything(), "w.yaml"),
        (Test::with_shipped_workflows(), "workflows/gloo-mesh.yaml"),
    ] {
        let without_undo = test.windlass(&["iam", file, "--without-undo"]);
        let of_run = allowed(&without_undo.expect(0).json());
        let allowed = allowed(&test.windlass(&["iam", file]).expect(0).json());
        assert!(of_run.is_subset(&allowed));
        let server = Served::start(&test, &[]);
        let proxy = Proxy::start(&server.address);
        test.write("windlass.toml", &proxy.target());
        let ran = signed(test.command(&["run", file, "--target", "here"]));
        let called = proxy.operations();
        assert!(
            called.is_subset(&of_run),
            "called without leave: {:?}\n{ran}",
            called.difference(&of_run)
        );
        let ran = signed(test.command(&["undo", "--yes"]));
        let called = proxy.operations();
        assert!(
            called.is_subset(&allowed),
            "an undo called without leave: {:?}\n{ran}",
            called.difference(&allowed)
        );
        // Asked for at creation (tags), and for a creation that is in doubt after a crash.
        let unseen: BTreeSet<_> = allowed.difference(&called).map(String::as_str).collect();
        let expected = BTreeSet::from([
            "ListCertificateAuthorities",
            "ListTags",
            "TagCertificateAuthority",
        ]);
        assert!(
            unseen.is_subset(&expected),
            "allowed and never called: {unseen:?}\n{ran}"
        );
    }
}

#[test]
fn every_function_is_called_here() {
    for row in windlass::script::functions().filter(|row| row.module() == "pca") {
        let call = format!("{}(", row.name);
        assert!(EVERYTHING.contains(&call), "{} is not called", row.name);
    }
}

/// A slow CA: nothing is ready at once.
#[test]
fn a_run_waits_for_what_is_not_ready() {
    let test = Test::with_shipped_workflows();
    let server = Served::start(
        &test,
        &[
            "--create-delay",
            "300ms",
            "--issue-delay",
            "200ms",
            "--settle",
            "200ms",
        ],
    );
    test.write("windlass.toml", &server.target());
    let ran = signed(test.command(&["run", "workflows/gloo-mesh.yaml", "--target", "here"]));
    assert!(ran.contains("gloo-mesh succeeded"), "{ran}");
}

/// A CA that refuses and forgets: one in ten calls is throttled, one in ten answers is lost.
#[test]
fn a_run_gets_through_throttling() {
    let test = Test::with_shipped_workflows();
    let server = Served::start(
        &test,
        &[
            "--fault",
            "*:ThrottlingException:10%",
            "--fault",
            "IssueCertificate:InternalFailure:10%:after",
        ],
    );
    test.write("windlass.toml", &server.target());
    let ran = signed(test.command(&[
        "run",
        "workflows/gloo-mesh.yaml",
        "--target",
        "here",
        "-p",
        "clusters=[a, b, c]",
    ]));
    assert!(ran.contains("gloo-mesh succeeded"), "{ran}");
    assert_eq!(server.authorities(&test), 2);
}

/// moto is another implementation of the protocol: it always issues for 365 days and knows only
/// some templates, so only the conversation is judged.
#[test]
fn the_workflow_ends_on_moto_too() {
    let Some(moto) = moto() else {
        return;
    };
    let test = Test::with_shipped_workflows();
    test.write("windlass.toml", &moto.target());
    let ran = signed(test.command(&[
        "run",
        "workflows/gloo-mesh.yaml",
        "--target",
        "here",
        "-p",
        "clusters=[a, b]",
    ]));
    assert!(ran.contains("gloo-mesh succeeded"), "{ran}");
}

/// Moto's server; `None` on a developer's machine that lacks it.
pub fn moto() -> Option<Served> {
    let Some(python) = python_with_moto() else {
        skip("moto", "pip install 'moto[server,acmpca]'");
        return None;
    };
    let port = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound")
        .port();
    let mut command = Command::new(python);
    command.args([
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        &port.to_string(),
    ]);
    let moto = Served {
        _server: Ends(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("moto starts"),
        ),
        address: format!("127.0.0.1:{port}"),
    };
    until("moto listens", Duration::from_secs(60), || {
        TcpStream::connect(&moto.address).is_ok()
    });
    Some(moto)
}

fn python_with_moto() -> Option<String> {
    let python = "python3".to_owned();
    let found = Command::new(&python)
        .args(["-c", "import moto.server, flask"])
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success()).then_some(python)
}

/// Runs a command with credentials that any rehearsal server takes, and returns what it said.
fn signed(mut command: Command) -> String {
    let output = command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .output()
        .expect("windlass starts");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server that is stopped with the test.
pub struct Served {
    _server: Ends,
    address: String,
}

impl Served {
    pub fn start(test: &Test, options: &[&str]) -> Self {
        Self::start_in(test, "served", options)
    }

    pub fn start_in(test: &Test, folder: &str, options: &[&str]) -> Self {
        let serve = ["pca", "serve", "--port", "0", "--dir", folder];
        // Tests that are not about credentials have whatever they like.
        let any: &[&str] = if options.contains(&"--access-key") {
            &[]
        } else {
            &["--insecure"]
        };
        Self::start_by(test.command(&[&serve, any, options].concat()))
    }

    /// Starts the server by a command that is or holds `pca serve`.
    pub fn start_by(mut command: Command) -> Self {
        let (server, endpoint) = Ends::listening(command.stderr(Stdio::null()));
        Self {
            _server: server,
            address: endpoint.trim_start_matches("http://").into(),
        }
    }

    fn target(&self) -> String {
        target(&self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn authorities(self, test: &Test) -> usize {
        std::fs::create_dir_all(test.path(".windlass")).expect("a folder");
        let _ = std::fs::remove_dir_all(test.path(".windlass/pca"));
        drop(self);
        std::fs::rename(test.path("served"), test.path(".windlass/pca")).expect("moved");
        test.authorities()
    }
}

fn target(address: &str) -> String {
    format!("[targets.here]\npca = {{ endpoint = \"http://{address}\", region = \"us-east-1\" }}\n")
}

/// Passes requests on and notes their operations.
struct Proxy {
    address: String,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Proxy {
    fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (server, noted) = (server.to_owned(), seen.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let upstream = TcpStream::connect(&server).expect("connected");
                let (from, to) = (
                    client.try_clone().expect("cloned"),
                    upstream.try_clone().expect("cloned"),
                );
                let noted = noted.clone();
                thread::spawn(move || pump(from, to, |text| note(text, &noted)));
                thread::spawn(move || pump(upstream, client, |_| {}));
            }
        });
        Self { address, seen }
    }

    fn target(&self) -> String {
        target(&self.address)
    }

    fn operations(&self) -> BTreeSet<String> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&str)) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(n) = from.read(&mut buffer) {
        look(&String::from_utf8_lossy(&buffer[..n]));
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Write);
            return;
        }
    }
}

fn note(text: &str, seen: &Mutex<BTreeSet<String>>) {
    for (at, mark) in text.match_indices("ACMPrivateCA.") {
        let rest = &text[at + mark.len()..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len());
        seen.lock()
            .expect("not poisoned")
            .insert(rest[..end].to_owned());
    }
}
