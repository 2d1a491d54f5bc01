//! The team's bash script, unchanged, with the real aws CLI.

use std::process::Command;

use crate::authority::lab::{Lab, beside, both, has, has_aws, has_openssl};

#[test]
fn the_gloo_mesh_script_runs_unchanged_and_its_certificates_verify() {
    let jq = has(
        "jq",
        &["--version"],
        "install jq with the system's package manager",
    );
    if !(has_aws() && has_openssl() && jq) {
        return;
    }
    let lab = Lab::new();
    let files = lab.folder.path().join("out");
    let output = Command::new("bash")
        .arg("-e")
        .arg(beside("mission/acm-gloo-mesh.sh"))
        .env("ENDPOINT", lab.endpoint())
        .env("OUTDIR", &files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));

    // `--output text` puts a tab between certificate and chain, also on AWS, while openssl needs separate lines.
    for name in ["gloo-mesh-intermediate", "relay-server-tls"] {
        let text = std::fs::read_to_string(files.join(format!("{name}.pem"))).unwrap();
        lab.file(&format!("{name}.pem"), text.replace('\t', "\n"));
    }
    let (root, relay) = ("out/root-ca.pem", "out/relay-int.pem");
    let verified = |arguments: &[&str]| {
        let (succeeded, printed) =
            lab.openssl(&[&["verify", "-x509_strict", "-CAfile", root], arguments].concat());
        assert!(succeeded, "{printed}");
    };
    verified(&[relay]);
    verified(&["gloo-mesh-intermediate.pem"]);
    for purpose in ["sslserver", "sslclient"] {
        verified(&[
            "-untrusted",
            relay,
            "-purpose",
            purpose,
            "relay-server-tls.pem",
        ]);
    }
}
