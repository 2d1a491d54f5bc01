//! The inventory of certificates, and scans of what Windlass did not make.

use std::{collections::BTreeSet, fs, process::Command};

use data_encoding::BASE64;
use serde_json::Value as Json;

use crate::{
    cluster::served::Clusters,
    harness::{Ran, Test, fed},
    mesh::FAST,
};

/// What gloo-mesh.yaml makes for one cluster.
const MADE: [&str; 5] = [
    "CN=Gloo Mesh Root CA,OU=Demo",
    "CN=cluster-1",
    "CN=gloo-mesh-ca",
    "CN=gloo-mesh-mgmt-server-ca",
    "L=Boston,CN=Relay Intermediate CA,ST=MA,OU=Demo,O=Solo.io,C=US",
];

/// The run writes the CAs of the clusters, too: what Gloo Mesh issues is not made by the run.
fn gloo_mesh(test: &Test, more: &[&str]) -> Ran {
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    test.windlass(&[&run, FAST.as_slice(), more].concat())
        .expect(0)
}

fn certificates(ran: &Ran) -> Vec<Json> {
    let json = ran.json();
    json["certificates"].as_array().expect("a list").clone()
}

fn listed(test: &Test, options: &[&str]) -> Vec<Json> {
    certificates(
        &test
            .windlass(&[&["certs", "--json"], options].concat())
            .expect(0),
    )
}

fn of<'c>(certificates: &'c [Json], subject: &str) -> Vec<&'c Json> {
    let same = certificates.iter().filter(|c| c["subject"] == subject);
    same.collect()
}

fn texts(certificates: &[Json], key: &str) -> BTreeSet<String> {
    let texts = certificates
        .iter()
        .map(|c| c[key].as_str().unwrap_or_default());
    texts.map(str::to_owned).collect()
}

/// What it prints at this width. An hour later: in the second of its signing a certificate has a whole day more.
fn wide(test: &Test, columns: &str, arguments: &[&str]) -> String {
    let mut command = at(test, "+1h", arguments);
    let output = command.env("COLUMNS", columns).output();
    Ran::from_output(output.expect("windlass starts"))
        .expect(0)
        .stdout
}

/// The same command in the future.
pub fn later(test: &Test, by: &str, arguments: &[&str]) -> Ran {
    let output = at(test, by, arguments).output();
    Ran::from_output(output.expect("windlass starts"))
}

fn at(test: &Test, by: &str, arguments: &[&str]) -> Command {
    let mut command = test.command(arguments);
    command
        .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
        .env("FAKETIME", by);
    command
}

#[test]
fn a_year_of_a_mesh_is_one_tree() {
    let test = Test::with_shipped_workflows();
    gloo_mesh(&test, &[]);
    let filters = [(r"\d{4}-\d\d-\d\d", "[  date  ]")];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!("the_tree_at_80_columns", wide(&test, "80", &["certs"]));
        insta::assert_snapshot!("the_tree_at_120_columns", wide(&test, "120", &["certs"]));
    });
    // istiod's own CA, which the mesh had before, stays in its secret.
    let first: Vec<_> = listed(&test, &[])
        .into_iter()
        .filter(|certificate| certificate["subject"] != "O=cluster.local")
        .collect();
    assert_eq!(
        texts(&first, "subject"),
        BTreeSet::from(MADE.map(str::to_owned))
    );
    for certificate in &first {
        assert_eq!(certificate["status"], "in use", "{certificate:#}");
        assert_eq!(certificate["superseded_by"], Json::Null);
        assert_eq!(certificate["made_by"]["workflow"], "gloo-mesh");
        judged_by_openssl(&test, certificate);
    }
    let steps = texts_of_steps(&first);
    let wanted = ["istio_intermediate[cluster-1]/sign", "root_cert"];
    assert!(wanted.iter().all(|step| steps.contains(*step)), "{steps:?}");
    let root = of(&first, MADE[0])[0];
    let objects = root["places"].as_array().expect("places").iter();
    let objects: BTreeSet<String> = objects
        .filter(|place| place["kind"] == "object")
        .map(|p| format!("{} {} {}", p["cluster"], p["object"], p["key"]).replace('"', ""))
        .collect();
    assert!(
        objects.contains("cluster-1 secret/cacerts root-cert.pem"),
        "{objects:?}"
    );
    assert!(
        objects.contains("mgmt secret/relay-root-tls-secret ca.crt"),
        "{objects:?}"
    );
    let is_authority = |place: &Json| place["kind"] == "authority";
    assert!(
        root["places"]
            .as_array()
            .expect("places")
            .iter()
            .any(is_authority)
    );

    // A monitor.
    let fine = test.windlass(&["certs", "--check", "30d"]).expect(0);
    assert_eq!(fine.stdout, "");
    let due = later(&test, "+1h", &["certs", "--check", "400d"])
        .expect(1)
        .stdout;
    assert_eq!(due.lines().count(), 3, "{due}");
    assert!(due.contains("! cluster-1 expires in 364 days ("), "{due}");
    assert!(
        due.contains("secret/relay-client-tls-secret tls.crt"),
        "{due}"
    );
    assert!(
        due.contains("made by workflows/gloo-mesh.yaml (relay_client[cluster-1]/sign)"),
        "{due}"
    );
    let due = listed(&test, &["--due", "400d"]);
    assert_eq!(texts(&due, "subject").len(), 3);
    assert_eq!(listed(&test, &["--expired"]).len(), 0);

    // Nothing of a key is anywhere in what the inventory prints or keeps.
    let kept = fs::read(test.path(".windlass/inventory.db")).expect("the cache");
    assert!(!String::from_utf8_lossy(&kept).contains("PRIVATE KEY"));

    // The second year: all are made anew.
    gloo_mesh(&test, &["-p", "client_validity=200d", "-p", "force=true"]);
    let mut second = listed(&test, &["--all"]);
    second.retain(|certificate| MADE.iter().any(|made| certificate["subject"] == *made));
    assert_eq!(second.len(), 10);
    for subject in MADE {
        let both = of(&second, subject);
        let old = both.iter().find(|c| c["status"] == "superseded");
        let new = both.iter().find(|c| c["status"] == "in use");
        let (Some(old), Some(new)) = (old, new) else {
            panic!("{subject}: {both:#?}");
        };
        assert_eq!(old["superseded_by"]["fingerprint"], new["fingerprint"]);
        assert_eq!(old["superseded_by"]["serial"], new["serial"]);
        assert_eq!(old["superseded_by"]["run"], new["made_by"]["run"]);
        let is_ca_of_aws = subject.contains("Root CA") || subject.contains("Relay");
        // The old CAs are still there; what they were in holds the new ones.
        let places = old["places"].as_array().map_or(0, Vec::len);
        assert_eq!(places, usize::from(is_ca_of_aws), "{old:#}");
    }
    let tree = test.windlass(&["certs"]).expect(0).stdout;
    assert!(
        tree.contains("8 not shown because they are no longer used; to show them: --all"),
        "{tree}"
    );

    // What a deleted cache says is what the journal says.
    let all = || {
        later(&test, "+1h", &["certs", "--json", "--all"])
            .expect(0)
            .stdout
    };
    let before = all();
    fs::remove_file(test.path(".windlass/inventory.db")).expect("removed");
    assert_eq!(before, all());

    // An undo brings the first year back.
    test.windlass(&["undo", "--yes"]).expect(0);
    let third = listed(&test, &["--all"]);
    for subject in MADE {
        let both = of(&third, subject);
        let (old, new): (Vec<&Json>, Vec<&Json>) = both
            .iter()
            .partition(|c| first.iter().any(|f| f["fingerprint"] == c["fingerprint"]));
        assert_eq!(old[0]["status"], "in use", "{:#}", old[0]);
        let known = of(&first, subject)[0];
        assert_eq!(places_of_the_run(old[0]), places_of_the_run(known));
        assert_eq!(new[0]["places"], serde_json::json!([]), "{:#}", new[0]);
        // AWS revokes no root: it goes with its CA.
        let wanted = if subject == MADE[0] {
            "deleted"
        } else {
            "revoked"
        };
        assert_eq!(new[0]["status"], wanted, "{:#}", new[0]);
    }
}

/// Gives the places of a certificate without those that istiod writes: who looks at these meets them at one time or another.
fn places_of_the_run(certificate: &Json) -> Vec<&Json> {
    let places = certificate["places"].as_array().expect("places").iter();
    let is_of_istiod = |place: &Json| {
        let key = place["key"].as_str().unwrap_or_default();
        key.ends_with("caBundle") || place["object"] == "configmap/istio-ca-root-cert"
    };
    places.filter(|place| !is_of_istiod(place)).collect()
}

fn texts_of_steps(certificates: &[Json]) -> BTreeSet<String> {
    let steps = certificates
        .iter()
        .map(|c| c["made_by"]["step"].as_str().unwrap_or_default());
    steps.map(str::to_owned).collect()
}

/// Holds what is said of a certificate against what openssl says of the file that begins with it.
fn judged_by_openssl(test: &Test, certificate: &Json) {
    let places = certificate["places"].as_array().expect("places").iter();
    let files = places.filter_map(|place| place["path"].as_str());
    // A chain begins with an issuer's.
    let file = files.min_by_key(|path| (path.contains("chain"), path.len()));
    let file = file.expect("a file").to_owned();
    let asked = [
        "x509",
        "-in",
        &file,
        "-noout",
        "-serial",
        "-fingerprint",
        "-sha256",
        "-enddate",
        "-dateopt",
        "iso_8601",
        "-subject",
        "-nameopt",
        "RFC2253",
        "-ext",
        "subjectAltName,subjectKeyIdentifier,authorityKeyIdentifier",
    ];
    let said = test.openssl(&asked).expect(0).stdout;
    let plain = said.replace(':', "").to_lowercase();
    let text = |key: &str| certificate[key].as_str().unwrap_or_default().to_owned();
    assert!(
        plain.contains(&format!("serial={}", text("serial"))),
        "{said}{certificate:#}"
    );
    assert!(
        plain.contains(&format!("fingerprint={}", text("fingerprint"))),
        "{said}{certificate:#}"
    );
    assert!(
        plain.contains(&text("subject_key_id")),
        "{said}{certificate:#}"
    );
    let end = text("not_after").replace('T', " ");
    assert!(
        said.contains(&format!("notAfter={end}")),
        "{said}{certificate:#}"
    );
    if text("authority_key_id") != text("subject_key_id") {
        assert!(
            plain.contains(&text("authority_key_id")),
            "{said}{certificate:#}"
        );
    }
    for name in certificate["names"].as_array().expect("names") {
        assert!(
            said.contains(name.as_str().expect("a text")),
            "{said}{certificate:#}"
        );
    }
    let key = test
        .openssl(&["x509", "-in", &file, "-noout", "-pubkey"])
        .expect(0)
        .stdout;
    test.write("key.pem", &key);
    let digest = "openssl pkey -pubin -in key.pem -outform DER | openssl dgst -sha256 -r";
    let digest = Command::new("sh")
        .args(["-c", digest])
        .current_dir(test.path("."))
        .output();
    let digest = Ran::from_output(digest.expect("sh")).expect(0).stdout;
    assert_eq!(
        digest.split(' ').next(),
        certificate["public_key_sha256"].as_str()
    );
}

/// A run waits for what Gloo Mesh writes: that is what its clusters hold, and what was there before no longer is.
#[test]
fn what_gloo_mesh_issued_is_where_a_run_saw_it() {
    let test = Test::with_shipped_workflows();
    let run = ["run", "workflows/gloo-mesh.yaml"];
    test.windlass(&[&run, FAST.as_slice()].concat()).expect(0);
    let is_own_ca =
        |place: &Json| place["object"] == "secret/cacerts" && place["key"] == "ca-cert.pem";
    let listed = listed(&test, &[]);
    let own: Vec<_> = listed
        .iter()
        .filter(|one| {
            let places = one["places"].as_array().expect("places");
            places.iter().any(is_own_ca)
        })
        .collect();
    assert_eq!(own.len(), 1, "{own:#?}");
    assert_eq!(own[0]["issuer"], "CN=gloo-mesh-ca", "{own:#?}");
    // It lives for a day, and Gloo Mesh renews it: nothing is due.
    assert_eq!(own[0]["renewed_at"]["key"], "ca-cert.pem", "{own:#?}");
    let object = own[0]["renewed_at"]["object"].as_str().expect("an object");
    assert!(
        object.starts_with("secret/gloo-mesh-issuing-ca"),
        "{object}"
    );
    let checked = test.windlass(&["certs", "--check", "30d"]).expect(0).stderr;
    let sentence = "apart from 1 that a controller renews, the next in 2";
    assert!(checked.contains(sentence), "{checked}");
    let tree = test.windlass(&["certs"]).expect(0).stdout;
    assert!(tree.contains("renewed there   cluster-1:"), "{tree}");
    // It expires within these days, and is in order until the controller is late.
    let due = test.windlass(&["certs", "--due", "30d"]).expect(0).stdout;
    assert!(due.contains("✓ istiod-istio-system-cluster-1"), "{due}");
    let late = later(&test, "+22h", &["certs", "--check", "1h"]).expect(1);
    assert!(
        late.stdout.contains("! istiod-istio-system-cluster-1")
            && late.stdout.contains("should have renewed it"),
        "{}",
        late.stdout
    );
}

#[test]
fn what_has_expired_is_named() {
    let test = Test::with_shipped_workflows();
    gloo_mesh(&test, &["-p", "client_validity=2d"]);
    let tree = test.windlass(&["certs"]).expect(0).stdout;
    assert!(
        tree.contains("├─ ✓ cluster-1"),
        "not due in the first third of its life: {tree}"
    );
    let tree = later(&test, "+40h", &["certs"]).expect(0).stdout;
    assert!(tree.contains("├─ ! cluster-1"), "{tree}");
    assert!(tree.contains("6 certificates, 1 due"), "{tree}");
    let tree = later(&test, "+12d", &["certs"]).expect(0).stdout;
    assert!(tree.contains("├─ ✗ cluster-1"), "{tree}");
    assert!(tree.contains("expired 10 days"), "{tree}");
    assert!(tree.contains("6 certificates, 1 expired"), "{tree}");
    let expired = later(&test, "+12d", &["certs", "--expired", "--json"]).expect(0);
    let expired = certificates(&expired);
    assert_eq!(
        texts(&expired, "subject"),
        BTreeSet::from(["CN=cluster-1".to_owned()])
    );
    assert_eq!(expired[0]["is_expired"], true);
    assert_eq!(expired[0]["days_left"], -10);
    let due = later(&test, "+12d", &["certs", "--check", "1d"])
        .expect(1)
        .stdout;
    assert!(
        due.starts_with("✗ cluster-1 expired 10 days ago ("),
        "{due}"
    );
    // Issuers of what is shown are shown, and nothing else.
    let tree = later(&test, "+12d", &["certs", "--expired"])
        .expect(0)
        .stdout;
    assert!(tree.contains("- Gloo Mesh Root CA"), "{tree}");
    assert!(!tree.contains("gloo-mesh-ca"), "{tree}");
}

#[test]
fn prometheus_reads_the_metrics() {
    let test = Test::with_shipped_workflows();
    gloo_mesh(
        &test,
        &["-p", "istio_subject={common_name: 'a \"b\" \\ c'}"],
    );
    let metrics = test.windlass(&["certs", "--prometheus"]).expect(0).stdout;
    let mut promtool = Command::new("promtool");
    let checked = fed(promtool.args(["check", "metrics"]), &metrics).expect(0);
    assert_eq!(checked.stderr, "", "{metrics}");
    let certificate = &listed(&test, &[])[0];
    let line = metrics.lines().find(|line| {
        let serial = certificate["serial"].as_str().expect("a serial");
        line.contains(&format!("serial=\"{serial}\""))
    });
    let seconds: i64 = line
        .and_then(|line| line.rsplit(' ').next())
        .and_then(|value| value.parse().ok())
        .expect("a value");
    let end = time::OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
    let end = end.format(&time::format_description::well_known::Rfc3339);
    assert_eq!(end.ok().as_deref(), certificate["not_after"].as_str());
    assert!(
        metrics.contains("windlass_certificates{status=\"in use\"} 6\n"),
        "{metrics}"
    );
}

/// Certificates of openssl's: a CA and a leaf.
fn foreign(test: &Test) -> (String, String) {
    let ca = ("ca.key", "ca.pem");
    test.certify("/CN=Corporate Root", ca, &["-days", "3650"]);
    let signed = [
        "-days",
        "10",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    test.certify("/CN=old.example.org", ("leaf.key", "leaf.pem"), &signed);
    (test.read("ca.pem"), test.read("leaf.pem"))
}

#[test]
fn a_scan_of_a_folder_goes_on_after_what_is_broken() {
    let test = Test::new();
    let (ca, leaf) = foreign(&test);
    let damaged: Vec<&str> = leaf.lines().collect();
    let damaged = damaged[..damaged.len() - 2].join("\n") + "\n!!!!\n-----END CERTIFICATE-----\n";
    test.write("pki/bundle.pem", &format!("{ca}\n{damaged}\n{leaf}"));
    test.write("pki/deep/er/cut.pem", &leaf[..leaf.len() / 2]);
    test.write("pki/keys/leaf.key", &test.read("leaf.key"));
    test.write(
        "pki/README",
        "This folder holds certificates, and says -----BEGIN.\n",
    );
    let p12 = [
        "pkcs12",
        "-export",
        "-in",
        "leaf.pem",
        "-inkey",
        "leaf.key",
        "-out",
        "pki/leaf.p12",
        "-passout",
        "pass:x",
    ];
    test.openssl(&p12).expect(0);
    let der = [
        "x509",
        "-in",
        "leaf.pem",
        "-outform",
        "DER",
        "-out",
        "pki/leaf.der",
    ];
    test.openssl(&der).expect(0);
    std::os::unix::fs::symlink(test.path("pki"), test.path("pki/deep/loop")).expect("linked");

    let ran = test.windlass(&["certs", "scan", "pki", "--json"]).expect(1);
    let found = certificates(&ran);
    let subjects = ["CN=Corporate Root", "CN=old.example.org"].map(str::to_owned);
    assert_eq!(texts(&found, "subject"), BTreeSet::from(subjects));
    let leaf_found = of(&found, "CN=old.example.org")[0];
    assert_eq!(
        leaf_found["places"],
        serde_json::json!([
            { "kind": "file", "path": "pki/bundle.pem" },
            { "kind": "file", "path": "pki/leaf.der" },
        ])
    );
    assert_eq!(leaf_found["is_managed"], false);
    assert_eq!(
        leaf_found["issuer_fingerprint"],
        of(&found, "CN=Corporate Root")[0]["fingerprint"]
    );
    let problems = ran.json()["problems"].clone();
    let problem = |place: &str| {
        let all = problems.as_array().expect("a list");
        let found: Vec<_> = all.iter().filter(|p| p["place"] == place).collect();
        assert_eq!(found.len(), 1, "{place}: {problems:#}");
        found[0]["why"].as_str().expect("a text").to_owned()
    };
    assert_eq!(problems.as_array().map(Vec::len), Some(3), "{problems:#}");
    let line = ca.lines().count() + damaged.lines().count();
    let why = problem("pki/bundle.pem");
    assert!(
        why.starts_with(&format!("line {line} is not base64")),
        "{why}"
    );
    assert!(problem("pki/deep/er/cut.pem").contains("the block has no end"));
    assert!(problem("pki/leaf.p12").contains("PKCS#12"));
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains("PRIVATE"), "{text}");
    }

    let tree = test
        .windlass(&["certs", "scan", "ca.pem", "leaf.pem"])
        .expect(0)
        .stdout;
    assert!(tree.contains("✓ Corporate Root"), "{tree}");
    assert!(
        tree.contains("╰─ ✓ old.example.org"),
        "a third of ten days is not over: {tree}"
    );
    assert!(
        tree.contains("unmanaged: no known run issued it, so Windlass does not renew it"),
        "{tree}"
    );
    let tree = test
        .windlass(&["certs", "scan", "leaf.pem"])
        .expect(0)
        .stdout;
    assert!(
        tree.contains("· Corporate Root"),
        "an issuer that is not there: {tree}"
    );
    // One that is not valid yet is refused by every peer.
    let scan = ["certs", "scan", "leaf.pem"];
    let early = later(&test, "-73h", &[&scan[..], &["--check", "30d"]].concat());
    early.expect(1).prints("is not valid for another 3 days");
    later(&test, "-73h", &scan)
        .expect(0)
        .prints("valid in 3 days");
    let due = test
        .windlass(&["certs", "scan", "leaf.pem", "--check", "30d"])
        .expect(1)
        .stdout;
    assert!(due.contains("nothing renews it"), "{due}");
    test.windlass(&["certs", "scan", "ca.pem", "--check", "30d"])
        .expect(0);

    let none = test.windlass(&["certs", "scan", "leaf.key"]).expect(1);
    none.says("leaf.key: contains no certificate");
    let missing = test.windlass(&["certs", "scan", "nowhere.pem"]).expect(2);
    missing.says("[scan]");
    // Several places: what can be read is checked, and what can't be is named.
    for places in [["127.0.0.1:1", "leaf.pem"], ["leaf.pem", "nowhere.pem"]] {
        let scan = [&["certs", "scan"], &places[..], &["--check", "30d"]].concat();
        let ran = test.windlass(&scan).expect(1);
        ran.prints("nothing renews it");
        ran.says("warning:");
    }
    let nothing = test.windlass(&["certs", "scan"]).expect(2);
    nothing.says("--kube CONTEXT");
}

#[test]
fn a_scan_of_a_cluster_tells_what_nothing_renews() {
    let test = Test::with_shipped_workflows();
    let refused = test
        .windlass(&["certs", "scan", "--kube", "mgmt", "--target", "local"])
        .expect(2);
    refused.says("there is no rehearsal cluster");
    assert!(!test.path(".windlass").exists(), "a scan makes nothing");
    gloo_mesh(&test, &[]);
    let (ca, leaf) = foreign(&test);
    let names = ["mgmt", "cluster-1"].map(str::to_owned);
    let served = Clusters::serve(&test, &names, &[]);
    let at = |arguments: &[&str]| served.kubectl(&test, "mgmt", arguments).expect(0);
    let file = |option: &str, name: &str| format!("{option}={}", test.path(name).display());
    let (cert, key) = (file("--cert", "leaf.pem"), file("--key", "leaf.key"));
    at(&["create", "secret", "tls", "old", &cert, &key]);
    at(&[
        "create",
        "configmap",
        "trust",
        &file("--from-file=bundle.pem", "ca.pem"),
    ]);
    at(&[
        "create",
        "secret",
        "generic",
        "broken",
        &format!("--from-literal=tls.crt={}", &leaf[..200]),
    ]);
    let kind = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "gadgets.example.org" },
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": { "kind": "Gadget", "plural": "gadgets" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object" } },
            }],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1"],
                    "clientConfig": {
                        "url": "https://gadgets.example.org", "caBundle": BASE64.encode(ca.as_bytes()),
                    },
                },
            },
        },
    });
    test.write("kind.json", &kind.to_string());
    at(&["apply", &file("-f", "kind.json")]);

    let mut command = test.command(&[
        "certs",
        "scan",
        "--kube",
        "mgmt",
        "--kube",
        "cluster-1",
        "--json",
    ]);
    command.env("KUBECONFIG", &served.kubeconfig);
    let ran = Ran::from_output(command.output().expect("windlass starts")).expect(1);
    let found = certificates(&ran);
    let places = |subject: &str| -> BTreeSet<String> {
        let found = of(&found, subject);
        assert_eq!(found.len(), 1, "{subject}");
        let places = found[0]["places"].as_array().expect("places").iter();
        let text =
            |p: &Json| format!("{} {} {}", p["cluster"], p["object"], p["key"]).replace('"', "");
        places.map(text).collect()
    };
    assert_eq!(
        places("CN=old.example.org"),
        BTreeSet::from(["mgmt secret/old tls.crt".to_owned()])
    );
    let trusted = places("CN=Corporate Root");
    assert!(
        trusted.contains("mgmt configmap/trust bundle.pem"),
        "{trusted:?}"
    );
    let of_conversion = "mgmt customresourcedefinition/gadgets.example.org spec.conversion.webhook.clientConfig.caBundle";
    assert!(trusted.contains(of_conversion), "{trusted:?}");
    assert!(places("CN=gloo-mesh-ca").contains("cluster-1 secret/cacerts ca-cert.pem"));
    for certificate in &found {
        let subject = certificate["subject"].as_str().expect("a text");
        assert_eq!(
            certificate["is_managed"],
            MADE.contains(&subject),
            "{certificate:#}"
        );
    }
    let problems = ran.json()["problems"].clone();
    assert_eq!(
        problems[0]["place"], "mgmt: default secret/broken tls.crt",
        "{problems:#}"
    );
    assert_eq!(problems.as_array().map(Vec::len), Some(1), "{problems:#}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("PRIVATE KEY"));
    // The clusters of a target, by their roles.
    let same = [
        "certs",
        "scan",
        "--target",
        "local",
        "--kube",
        "cluster-1",
        "--json",
    ];
    let same = certificates(&test.windlass(&same).expect(0));
    assert_eq!(of(&same, "CN=gloo-mesh-ca").len(), 1);
    assert_eq!(of(&same, "CN=old.example.org").len(), 0);
}

#[test]
fn a_scan_of_cas_reads_what_is_alive() {
    let test = Test::with_shipped_workflows();
    let refused = test
        .windlass(&["certs", "scan", "--pca", "local"])
        .expect(2);
    refused.says("there is no embedded CA");
    gloo_mesh(&test, &[]);
    let scan = ["certs", "scan", "--pca", "local", "--json"];
    let found = certificates(&test.windlass(&scan).expect(0));
    assert_eq!(
        texts(&found, "subject"),
        BTreeSet::from(MADE.map(str::to_owned))
    );
    let leaf = of(&found, "CN=cluster-1")[0];
    assert_eq!(leaf["places"][0]["kind"], "issued");
    assert!(
        !test
            .path(".windlass/pca/buckets/windlass-inventory")
            .exists()
    );

    // What is revoked is not alive.
    let serial = leaf["serial"].as_str().expect("a serial");
    let arn = leaf["places"][0]["arn"].as_str().expect("an ARN");
    let ca = arn.split("/certificate/").next().expect("a CA");
    let revoke = format!(
        "workflow: revoke\nsteps:\n  it:\n    run: |\n      pca::revoke_certificate(\"{ca}\", #{{ serial: \"{serial}\" }});\n"
    );
    test.write("revoke.yaml", &revoke);
    test.windlass(&["run", "revoke.yaml"]).expect(0);
    let found = certificates(&test.windlass(&scan).expect(0));
    assert_eq!(of(&found, "CN=cluster-1").len(), 0);
    let known = listed(&test, &["--all"]);
    assert_eq!(of(&known, "CN=cluster-1")[0]["status"], "revoked");
    // The agent shows it still.
    let tree = test.windlass(&["certs"]).expect(0).stdout;
    assert!(tree.contains("✗ cluster-1 "), "{tree}");
    assert!(tree.contains("1 revoked and in use"), "{tree}");
    let due = test.windlass(&["certs", "--check", "1d"]).expect(1).stdout;
    assert!(
        due.contains("✗ cluster-1 is revoked, and expires in "),
        "{due}"
    );
    let damaged = [
        "certs",
        "scan",
        "--pca",
        "local",
        "--audit-report",
        "revoke.yaml",
    ];
    let damaged = test.windlass(&damaged).expect(2);
    damaged.says("revoke.yaml is not an audit report");
}

#[test]
fn an_inventory_of_nothing_says_so() {
    let test = Test::new();
    let ran = test.windlass(&["certs"]).expect(0);
    ran.says("windlass certs scan FILE|DIR");
    assert_eq!(ran.stdout, "");
    let json = test.windlass(&["certs", "--json"]).expect(0).json();
    assert_eq!(
        json,
        serde_json::json!({ "certificates": [], "problems": [] })
    );
    let check = test.windlass(&["certs", "--check", "30d"]).expect(2);
    check.says("[no-such-run]");
    let elsewhere = ["--state", "nowhere", "certs", "--check", "30d"];
    test.windlass(&elsewhere).expect(2);
    fs::create_dir(test.path("empty")).expect("made");
    let scan = ["certs", "scan", "empty", "--check", "30d"];
    assert_ne!(test.windlass(&scan).code, 0, "nothing was checked");
    let wrong = test.windlass(&["certs", "--due", "1 month"]).expect(2);
    wrong.says("is not a duration");
    assert!(!test.path(".windlass").exists(), "a look makes no folder");
    // A run that has to do with no certificate.
    test.write(
        "none.yaml",
        "workflow: none\nsteps:\n  it:\n    run: '#{}'\n",
    );
    test.windlass(&["run", "none.yaml"]).expect(0);
    let check = test.windlass(&["certs", "--check", "30d"]).expect(2);
    let why = "no run in .windlass has issued or found a certificate to check yet";
    check.says(why);
}

/// What a refused run asked the API server is not what the Secrets hold.
#[test]
fn a_run_that_only_asks_moves_no_certificate() {
    let test = Test::with_shipped_workflows();
    gloo_mesh(&test, &[]);
    let places = || -> Vec<(Json, Json)> {
        let all = listed(&test, &["--all"]).into_iter();
        let all = all.filter(|one| MADE.iter().any(|made| one["subject"] == *made));
        all.map(|one| (one["fingerprint"].clone(), one["places"].clone()))
            .collect()
    };
    let before = places();
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    let refused = test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(1)
        .stderr;
    assert!(
        refused.contains("this mesh has a root already"),
        "{refused}"
    );
    let steps = test.windlass(&["show", "--json"]).expect(0).stdout;
    assert!(steps.contains("secrets_fit"), "it asked: {steps}");
    assert_eq!(places(), before);
}

/// The undo of a script writes and reads as the script does.
#[test]
fn an_undo_of_a_script_is_seen() {
    let test = Test::new();
    let (new, old) = foreign(&test);
    let put = |pem: &str| {
        format!(
            "kube::apply_secret(\"mgmt\", \"default\", \"shown\", #{{ \"tls.crt\": `{pem}` }}, #{{}});"
        )
    };
    let script = format!(
        "const INPUTS = #{{}};\nconst OUTPUTS = #{{}};\nfn run(inputs) {{ {} #{{}} }}\nfn undo(inputs, outputs) {{ {} }}\n",
        put(&new),
        put(&old)
    );
    test.write("put.rhai", &script);
    let workflow = "workflow: put\nkube: [mgmt]\nsteps:\n  it: { script: put.rhai }\n";
    test.write("put.yaml", workflow);
    test.windlass(&["run", "put.yaml"]).expect(0);
    let subjects = || texts(&listed(&test, &[]), "subject");
    assert_eq!(subjects(), BTreeSet::from(["CN=Corporate Root".to_owned()]));
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(
        subjects(),
        BTreeSet::from(["CN=old.example.org".to_owned()])
    );
}

/// Without the identity the journal's secrets stay closed: what it can't say it does not say, and it says why.
#[test]
fn without_the_identity_secrets_stay_closed() {
    let test = Test::with_shipped_workflows();
    gloo_mesh(&test, &[]);
    fs::rename(test.path(".windlass/identity.txt"), test.path("away")).expect("moved");
    let ran = test.windlass(&["certs", "--json"]).expect(1);
    ran.says("identity.txt: is missing");
    let found = certificates(&ran);
    assert_eq!(found.len(), 5);
    assert!(!ran.stdout.contains("secret/cacerts"));
    fs::rename(test.path("away"), test.path(".windlass/identity.txt")).expect("moved");
    assert!(
        test.windlass(&["certs", "--json"])
            .expect(0)
            .stdout
            .contains("secret/cacerts")
    );
}
