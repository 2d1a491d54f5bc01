//! What is said of a server that can't be met: each cause by its own name, with its own way out.

use std::net::TcpListener;

use super::caller::Caller;
use crate::{client::Served, harness::Test, tls::Terminator};

const SIGNER: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKID"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
];

/// A root, and a certificate for `localhost` under it, where [`Terminator`] looks for them.
fn make_certificates(test: &Test) {
    test.write("req.conf", "[req]\ndistinguished_name = n\n[n]\n");
    std::fs::create_dir_all(test.path("out")).expect("a folder");
    let own = ["-config", "req.conf", "-days", "9", "-addext"];
    let ca = ["basicConstraints=critical,CA:TRUE"];
    test.certify(
        "/CN=root",
        ("root.key", "root.pem"),
        &[&own[..], &ca].concat(),
    );
    let signed = [
        "basicConstraints=CA:FALSE",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
    ];
    let files = ("out/relay-server-tls.key", "server.pem");
    test.certify("/CN=localhost", files, &[&own[..], &signed].concat());
}

#[test]
fn c5_each_cause_has_its_own_words_and_hint() {
    let caller = Caller::new("");
    let served = Served::start(&caller.test, &[]);
    make_certificates(&caller.test);
    let terminator = Terminator::start(&caller.test, served.address());
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    let port = terminator.port;
    let plain = served.address();
    let bundle = ", ca_bundle = \"root.pem\"";
    for (endpoint, more, code, hint) in [
        (
            format!("https://localhost:{port}"),
            "",
            "UntrustedCertificate",
            "ca_bundle",
        ),
        (
            format!("https://127.0.0.1:{port}"),
            bundle,
            "WrongHostName",
            "another server's",
        ),
        (format!("https://{plain}"), bundle, "NotTls", "http://"),
        (
            format!("http://127.0.0.1:{nobody}"),
            "",
            "ConnectionRefused",
            "nothing listens",
        ),
        (
            "http://no-such-host.invalid".into(),
            "",
            "UnknownHost",
            "no such host",
        ),
    ] {
        let target = format!("endpoint = \"{endpoint}\", region = \"us-east-1\"{more}");
        let ran = caller.look(&target, &SIGNER).expect(1);
        assert!(ran.stderr.contains(code), "{endpoint}: {}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{endpoint}: {}", ran.stderr);
    }
    let ran = caller.look("", &SIGNER).expect(1);
    assert!(
        ran.stderr.contains("NoRegion") && ran.stderr.contains("AWS_REGION"),
        "{}",
        ran.stderr
    );
}

#[test]
fn c5_a_bundle_is_read_as_the_aws_cli_reads_it() {
    let caller = Caller::new("");
    let served = Served::start(&caller.test, &[]);
    make_certificates(&caller.test);
    let root = std::fs::read(caller.test.path("root.pem")).expect("made");
    let marked = [&b"\xef\xbb\xbf"[..], &root].concat();
    let latin = [b"# Autorit\xe9\n", &root[..], b"# fin \xe9\n"].concat();
    let terminator = Terminator::start(&caller.test, served.address());
    let port = terminator.port;
    for (name, text) in [("marked.pem", marked), ("latin.pem", latin)] {
        std::fs::write(caller.test.path(name), text).expect("written");
        let target = format!(
            "endpoint = \"https://localhost:{port}\", region = \"us-east-1\", ca_bundle = \"{name}\""
        );
        caller.look(&target, &SIGNER).expect(0);
    }
}
