//! `workflows/gloo-mesh.yaml` on the embedded CA, judged by openssl.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{harness::Test, mesh::FAST};

/// What a certificate must hold.
struct Expected {
    file: String,
    subject: String,
    issuer: &'static str,
    days: u32,
    basic_constraints: &'static str,
    key_usage: &'static str,
    extended_key_usage: Option<&'static str>,
    dns: Option<String>,
}

const ROOT: &str = "OU=Demo, CN=Gloo Mesh Root CA";
const RELAY: &str = "C=US, O=Solo.io, OU=Demo, ST=MA, CN=Relay Intermediate CA, L=Boston";
const CA_USAGE: &str = "X509v3 Key Usage: critical\n Digital Signature, Certificate Sign, CRL Sign";
const LEAF_USAGE: &str = "X509v3 Key Usage: critical\n Digital Signature, Key Encipherment";

/// `issuing` are the files of the CAs below the root that sign for Istio, each with its names.
fn expected(clusters: &[String], issuing: &[(String, String)]) -> Vec<Expected> {
    let leaf = "X509v3 Basic Constraints:\n CA:FALSE";
    let sub = "X509v3 Basic Constraints: critical\n CA:TRUE, pathlen:1";
    let mut all = vec![
        Expected {
            file: "root-ca.pem".into(),
            subject: ROOT.into(),
            issuer: ROOT,
            days: 3650,
            basic_constraints: "X509v3 Basic Constraints: critical\n CA:TRUE",
            key_usage: CA_USAGE,
            extended_key_usage: None,
            dns: None,
        },
        Expected {
            file: "relay-int.pem".into(),
            subject: RELAY.into(),
            issuer: ROOT,
            days: 1825,
            basic_constraints: sub,
            key_usage: CA_USAGE,
            extended_key_usage: None,
            dns: None,
        },
        Expected {
            file: "relay-server-tls.pem".into(),
            subject: "CN=gloo-mesh-mgmt-server-ca".into(),
            issuer: RELAY,
            days: 365,
            basic_constraints: leaf,
            key_usage: LEAF_USAGE,
            extended_key_usage: Some(
                "TLS Web Server Authentication, TLS Web Client Authentication",
            ),
            dns: Some("DNS:*.gloo-mesh".into()),
        },
    ];
    for (file, dns) in issuing {
        all.push(Expected {
            file: format!("{file}.pem"),
            subject: "CN=gloo-mesh-ca".into(),
            issuer: ROOT,
            days: 365,
            basic_constraints: sub,
            key_usage: CA_USAGE,
            extended_key_usage: None,
            dns: Some(dns.clone()),
        });
    }
    for cluster in clusters {
        all.push(Expected {
            file: format!("relay-client-tls-{cluster}.pem"),
            subject: format!("CN={cluster}"),
            issuer: RELAY,
            days: 365,
            basic_constraints: leaf,
            key_usage: LEAF_USAGE,
            extended_key_usage: Some("TLS Web Client Authentication"),
            dns: Some(format!("DNS:{cluster}, DNS:*.gloo-mesh")),
        });
    }
    all
}

#[test]
fn one_cluster_makes_the_whole_pki() {
    let test = Test::with_shipped_workflows();
    test.windlass(&["run", "workflows/gloo-mesh.yaml"])
        .expect(0);
    judge(&test, &["cluster-1".into()], &issuing());
    assert_eq!(test.shown()["status"], "succeeded");
    assert_eq!(
        test.shown()["certificates"].as_array().map(Vec::len),
        Some(5)
    );
}

#[test]
fn twenty_five_clusters_make_the_whole_pki() {
    let test = Test::with_shipped_workflows();
    let clusters: Vec<String> = (1..=25).map(|n| format!("cluster-{n}")).collect();
    let param = format!("clusters=[{}]", clusters.join(", "));
    test.windlass(&["run", "workflows/gloo-mesh.yaml", "-p", &param])
        .expect(0);
    judge(&test, &clusters, &issuing());
    assert_eq!(
        test.shown()["certificates"].as_array().map(Vec::len),
        Some(29)
    );
}

/// With `cacerts` each cluster has a CA of its own under the root.
#[test]
fn each_cluster_may_have_an_istio_ca_of_its_own() {
    let test = Test::with_shipped_workflows();
    let clusters = ["cluster-1".to_owned(), "cluster-2".to_owned()];
    test.windlass(&[
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        "clusters=[cluster-1, cluster-2]",
        "-p",
        "istio_ca=cacerts",
    ])
    .expect(0);
    let own = clusters.clone().map(|cluster| {
        let file = format!("gloo-mesh-intermediate-{cluster}");
        (file, format!("DNS:{cluster}.gloo-mesh.agent"))
    });
    judge(&test, &clusters, &own);
    assert!(!test.path("out/gloo-mesh-intermediate.pem").exists());
}

/// The one CA under which Gloo Mesh issues for all clusters.
fn issuing() -> [(String, String); 1] {
    let names = "DNS:*.gloo-mesh.agent".to_owned();
    [("gloo-mesh-intermediate".to_owned(), names)]
}

fn judge(test: &Test, clusters: &[String], issuing: &[(String, String)]) {
    let mut serials = std::collections::BTreeSet::new();
    for expected in expected(clusters, issuing) {
        let file = format!("out/{}", expected.file);
        let text = test
            .openssl(&["x509", "-in", &file, "-noout", "-text"])
            .expect(0)
            .stdout;
        let squeezed: Vec<String> = text
            .lines()
            .map(|line| {
                format!(
                    "{}{}",
                    if line.starts_with("                ") {
                        " "
                    } else {
                        ""
                    },
                    line.trim()
                )
            })
            .collect();
        let squeezed = squeezed.join("\n");
        let holds = |what: &str| {
            assert!(
                squeezed.contains(what),
                "{file}: no {what:?} in\n{squeezed}"
            )
        };
        holds(expected.basic_constraints);
        holds(expected.key_usage);
        match expected.extended_key_usage {
            Some(usage) => holds(&format!("X509v3 Extended Key Usage:\n {usage}\n")),
            None => assert!(
                !squeezed.contains("Extended Key Usage"),
                "{file}\n{squeezed}"
            ),
        }
        match &expected.dns {
            Some(dns) => holds(&format!("X509v3 Subject Alternative Name:\n {dns}\n")),
            None => assert!(!squeezed.contains("Alternative Name"), "{file}\n{squeezed}"),
        }
        holds("X509v3 Subject Key Identifier:");
        if expected.issuer != expected.subject {
            holds("X509v3 Authority Key Identifier:");
        }
        holds("Public-Key: (2048 bit)");
        holds("Signature Algorithm: sha256WithRSAEncryption");
        let name = |option: &str| {
            let arguments = [
                "x509",
                "-in",
                &file,
                "-noout",
                option,
                "-nameopt",
                "sep_comma_plus_space,utf8",
            ];
            let line = test.openssl(&arguments).expect(0).stdout;
            line.trim()
                .split_once('=')
                .map(|(_, name)| name.trim().to_owned())
                .unwrap_or_default()
        };
        assert_eq!(name("-subject"), expected.subject, "{file}");
        assert_eq!(name("-issuer"), expected.issuer, "{file}");
        let seconds = u64::from(expected.days) * 86_400;
        let lives_past = |seconds: u64| {
            test.openssl(&[
                "x509",
                "-in",
                &file,
                "-noout",
                "-checkend",
                &seconds.to_string(),
            ])
            .code
                == 0
        };
        assert!(
            lives_past(seconds - 600) && !lives_past(seconds + 60),
            "{file}: not {} days",
            expected.days
        );
        assert!(serials.insert(name("-serial")), "{file}: a serial twice");
    }
    verify(test, "root-ca.pem", None, &[]);
    verify(test, "relay-int.pem", Some("relay-int-chain.pem"), &[]);
    let server = ["-purpose", "sslserver"];
    let client = ["-purpose", "sslclient"];
    verify(
        test,
        "relay-server-tls.pem",
        Some("relay-server-tls-chain.pem"),
        &server,
    );
    for cluster in clusters {
        let name = format!("relay-client-tls-{cluster}");
        verify(
            test,
            &format!("{name}.pem"),
            Some(&format!("{name}-chain.pem")),
            &client,
        );
        let posing = verify_code(
            test,
            &format!("{name}.pem"),
            Some(&format!("{name}-chain.pem")),
            &server,
        );
        assert_ne!(posing, 0, "{name} could pose as the server");
        fits(test, &name);
    }
    for (istio, _) in issuing {
        verify(
            test,
            &format!("{istio}.pem"),
            Some(&format!("{istio}-chain.pem")),
            &[],
        );
        fits(test, istio);
        let csr = test
            .openssl(&["req", "-in", &format!("out/{istio}.csr"), "-noout", "-text"])
            .expect(0)
            .stdout;
        for asked in [
            "CA:TRUE",
            "Digital Signature, Key Encipherment, Certificate Sign",
            "TLS Web Server Authentication, TLS Web Client Authentication",
        ] {
            assert!(
                csr.contains(asked),
                "{istio}.csr does not ask for {asked}\n{csr}"
            );
        }
    }
    fits(test, "relay-server-tls");
}

fn verify(test: &Test, file: &str, chain: Option<&str>, more: &[&str]) {
    assert_eq!(verify_code(test, file, chain, more), 0, "{file}");
}

fn verify_code(test: &Test, file: &str, chain: Option<&str>, more: &[&str]) -> i32 {
    let (file, chain) = (
        format!("out/{file}"),
        chain.map(|chain| format!("out/{chain}")),
    );
    let mut arguments = vec!["verify", "-x509_strict", "-CAfile", "out/root-ca.pem"];
    if let Some(chain) = &chain {
        arguments.extend(["-untrusted", chain]);
    }
    arguments.extend(more);
    arguments.push(&file);
    test.openssl(&arguments).code
}

/// The key is the certificate's own, and nobody else may read it.
fn fits(test: &Test, name: &str) {
    let of = |arguments: &[&str]| test.openssl(arguments).expect(0).stdout;
    let key = format!("out/{name}.key");
    let public = of(&["pkey", "-in", &key, "-pubout"]);
    assert_eq!(
        public,
        of(&[
            "x509",
            "-in",
            &format!("out/{name}.pem"),
            "-noout",
            "-pubkey"
        ]),
        "{name}"
    );
    let mode = fs::metadata(test.path(&key))
        .expect("the key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "{name}.key");
}

#[test]
fn subjects_keys_and_validities_are_params() {
    let test = Test::with_shipped_workflows();
    let run = [
        "run",
        "workflows/gloo-mesh.yaml",
        "--out",
        "certs",
        "-p",
        "clusters=[east]",
        "-p",
        "root_subject={common_name: Another Root, country: DE}",
        "-p",
        "root_validity=40d",
        "-p",
        "relay_validity=30d",
        "-p",
        "istio_validity=20d",
        "-p",
        "server_validity=10d",
        "-p",
        "client_validity=10d",
    ];
    test.windlass(&[&run, FAST.as_slice()].concat()).expect(0);
    let text = test
        .openssl(&["x509", "-in", "certs/root-ca.pem", "-noout", "-text"])
        .expect(0)
        .stdout;
    assert!(text.contains("C = DE, CN = Another Root"), "{text}");
    assert!(text.contains("ASN1 OID: prime256v1"), "{text}");
    let chain = "certs/relay-client-tls-east-chain.pem";
    test.openssl(&[
        "verify",
        "-CAfile",
        "certs/root-ca.pem",
        "-untrusted",
        chain,
        "certs/relay-client-tls-east.pem",
    ])
    .expect(0);
    assert!(!test.path("out").exists());
}
