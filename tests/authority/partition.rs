//! Partitioned CRLs, checked with openssl.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use rusqlite::Connection;
use serde_json::{Value, json};
use windlass::authority::Clock;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::authority::lab::{Lab, csr, has_openssl, http, text};

const BUCKET: &str = "crl-bucket";

/// A root that publishes its CRL on this server, complete or partitioned.
struct Publishing {
    lab: Lab,
    root: String,
}

impl Publishing {
    fn new(kind: &str) -> Self {
        let lab = Lab::new();
        let root = lab.root("root", configuration(&lab, kind));
        let of = json!({ "CertificateAuthorityArn": root });
        let answer = lab.call("GetCertificateAuthorityCertificate", of).unwrap();
        lab.file("root.pem", text(&answer, "Certificate") + "\n");
        Self { lab, root }
    }

    /// Changes the type of the CRL.
    fn update(&self, kind: &str) {
        let mut input = configuration(&self.lab, kind);
        input["CertificateAuthorityArn"] = json!(self.root);
        self.lab.call("UpdateCertificateAuthority", input).unwrap();
    }

    /// Issues a certificate into a file, and returns its serial number.
    fn issue(&self, name: &str) -> String {
        let issued = self
            .lab
            .issue(&self.root, &csr(name, &[]), json!({}))
            .unwrap();
        let answer = self.lab.certificate(&self.root, &issued).unwrap();
        self.lab
            .file(&format!("{name}.pem"), text(&answer, "Certificate") + "\n");
        issued.rsplit('/').next().unwrap().to_owned()
    }

    fn revoke(&self, serial: &str) {
        let input = json!({
            "CertificateAuthorityArn": self.root,
            "CertificateSerial": serial,
            "RevocationReason": "KEY_COMPROMISE",
        });
        self.lab.call("RevokeCertificate", input).unwrap();
    }

    /// Returns the path of the CRL in a certificate.
    fn path(&self, name: &str) -> String {
        let file = format!("{name}.pem");
        let printed = self.openssl(&[
            "x509",
            "-in",
            &file,
            "-noout",
            "-ext",
            "crlDistributionPoints",
        ]);
        let start = format!("URI:http://{}/", self.lab.address);
        let mut lines = printed.lines().map(str::trim);
        let path = lines.find_map(|line| line.strip_prefix(&start));
        path.unwrap_or_else(|| panic!("{printed}")).to_owned()
    }

    /// Returns whether a certificate is valid according to its CRL, as in the bucket and as served over HTTP.
    fn is_good(&self, name: &str) -> bool {
        let path = self.path(name);
        let object = self.lab.state().join("buckets").join(BUCKET).join(&path);
        let stored = std::fs::read(object).unwrap();
        let (status, fetched) = http(self.lab.address, "GET", &format!("/{path}"), &[], b"");
        assert_eq!(status, 200, "{path}");
        let verdicts: BTreeSet<bool> = [stored, fetched]
            .into_iter()
            .map(|list| {
                self.lab.file("list.der", list);
                self.openssl(&[
                    "crl", "-inform", "DER", "-in", "list.der", "-out", "list.pem",
                ]);
                let printed = self.openssl(&[
                    "crl", "-in", "list.pem", "-noout", "-text", "-CAfile", "root.pem",
                ]);
                assert!(printed.contains("verify OK"), "{printed}");
                let file = format!("{name}.pem");
                let arguments = [
                    "verify",
                    "-CAfile",
                    "root.pem",
                    "-crl_check",
                    "-extended_crl",
                    "-CRLfile",
                    "list.pem",
                    &file,
                ];
                let (good, printed) = self.lab.openssl(&arguments);
                assert!(good || printed.contains("certificate revoked"), "{printed}");
                good
            })
            .collect();
        assert_eq!(
            verdicts.len(),
            1,
            "the bucket and the server disagree about {name}"
        );
        verdicts.contains(&true)
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let (succeeded, printed) = self.lab.openssl(arguments);
        assert!(succeeded, "{printed}");
        printed
    }

    /// Pretends that this many certificates are bound to every partition.
    fn fill(&self, certificates: i64) {
        let database = Connection::open(self.lab.state().join("authority.db")).unwrap();
        database
            .execute("UPDATE list SET certificates = ?1", [certificates])
            .unwrap();
    }
}

fn configuration(lab: &Lab, kind: &str) -> Value {
    json!({ "RevocationConfiguration": { "CrlConfiguration": {
        "Enabled": true, "ExpirationInDays": 7, "S3BucketName": BUCKET,
        "CustomCname": lab.address.to_string(), "CrlType": kind,
    }}})
}

#[test]
fn a_new_partition_begins_when_one_is_full() {
    if !has_openssl() {
        return;
    }
    let publishing = Publishing::new("PARTITIONED");
    let (first, _) = (publishing.issue("first"), publishing.issue("second"));
    assert_eq!(publishing.path("first"), publishing.path("second"));
    publishing.fill(17_999);
    publishing.issue("last");
    assert_eq!(publishing.path("first"), publishing.path("last"));
    let later = publishing.issue("later");
    assert_ne!(publishing.path("first"), publishing.path("later"));
    publishing.revoke(&first);
    for (name, good) in [
        ("first", false),
        ("second", true),
        ("last", true),
        ("later", true),
    ] {
        assert_eq!(publishing.is_good(name), good, "{name}");
    }
    publishing.revoke(&later);
    assert!(!publishing.is_good("later"));

    // The CRL of another partition proves nothing: its issuing distribution point is another, and critical.
    let _ = publishing.is_good("first");
    let arguments = [
        "verify",
        "-CAfile",
        "root.pem",
        "-crl_check",
        "-extended_crl",
        "-CRLfile",
        "list.pem",
        "later.pem",
    ];
    let (good, printed) = publishing.lab.openssl(&arguments);
    assert!(
        !good && printed.contains("different CRL scope"),
        "{printed}"
    );
    let printed = publishing.openssl(&["crl", "-in", "list.pem", "-noout", "-text"]);
    assert!(
        printed.contains("X509v3 Issuing Distribution Point: critical"),
        "{printed}"
    );
}

#[test]
fn a_crl_in_certificates_stays_published_when_the_type_changes() {
    if !has_openssl() {
        return;
    }
    let publishing = Publishing::new("COMPLETE");
    let old = publishing.issue("old");
    publishing.update("PARTITIONED");
    let new = publishing.issue("new");
    assert_ne!(publishing.path("old"), publishing.path("new"));
    publishing.revoke(&old);
    publishing.revoke(&new);
    publishing.issue("good");
    publishing.update("COMPLETE");
    publishing.issue("newest");
    for (name, good) in [
        ("old", false),
        ("new", false),
        ("good", true),
        ("newest", true),
    ] {
        assert_eq!(publishing.is_good(name), good, "{name}");
    }
}

#[test]
fn a_custom_path_replaces_the_id_of_the_authority() {
    if !has_openssl() {
        return;
    }
    let publishing = Publishing::new("PARTITIONED");
    let mut input = configuration(&publishing.lab, "PARTITIONED");
    input["RevocationConfiguration"]["CrlConfiguration"]["CustomPath"] = json!("my/lists");
    input["CertificateAuthorityArn"] = json!(publishing.root);
    publishing
        .lab
        .call("UpdateCertificateAuthority", input)
        .unwrap();
    let serial = publishing.issue("leaf");
    let path = publishing.path("leaf");
    let partition = path
        .strip_prefix("my/lists/")
        .and_then(|rest| rest.strip_suffix(".crl"));
    assert_eq!(partition.map(str::len), Some(36), "{path}");
    publishing.revoke(&serial);
    assert!(!publishing.is_good("leaf"));
}

#[test]
fn simultaneous_revocations_are_all_in_the_bucket() {
    let publishing = Publishing::new("PARTITIONED");
    let serials: Vec<String> = (0..24).map(|_| publishing.issue("leaf")).collect();
    std::thread::scope(|scope| {
        for serial in &serials {
            scope.spawn(|| publishing.revoke(serial));
        }
    });
    let path = publishing.path("leaf");
    let object = publishing
        .lab
        .state()
        .join("buckets")
        .join(BUCKET)
        .join(path);
    publishing
        .lab
        .file("list.der", std::fs::read(object).unwrap());
    let printed = publishing.openssl(&[
        "crl", "-inform", "DER", "-in", "list.der", "-noout", "-text",
    ]);
    assert_eq!(printed.matches("Serial Number:").count(), serials.len());
}

/// As on AWS, CRLs are renewed before they expire if the server runs longer than their lifetime.
#[test]
fn crls_in_the_bucket_are_renewed_while_the_server_runs() {
    let clock = Clock::manual();
    let lab = Lab::with(|options| {
        options.clock = clock.clone();
        options.upkeep = Duration::from_millis(20);
    });
    let root = lab.root("root", configuration(&lab, "COMPLETE"));
    let id = root.rsplit('/').next().unwrap();
    let object = lab.state().join(format!("buckets/{BUCKET}/crl/{id}.crl"));
    let first = std::fs::read(&object).unwrap();
    clock.advance(Duration::from_secs(6 * 24 * 60 * 60));
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let list = std::fs::read(&object).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
        let (_, first) = CertificateRevocationList::from_der(&first).unwrap();
        if list.last_update() > first.last_update() {
            assert!(list.next_update() > first.next_update());
            assert!(list.crl_number() > first.crl_number());
            return;
        }
        assert!(Instant::now() < end, "the list is not renewed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A folder of version 1, in which every authority had sixteen partitions, selected by the last digit of the serial number.
#[test]
fn a_folder_of_version_1_keeps_its_crls() {
    if !has_openssl() {
        return;
    }
    const ARN: &str = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/2e7cdb78-c4fc-4a61-b62e-63b01f329080";
    let fixture =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/authority-v1/authority.db");
    let lab = Lab::with(|options| {
        std::fs::create_dir_all(&options.folder).unwrap();
        std::fs::copy(&fixture, options.folder.join("authority.db")).unwrap();
    });
    assert_eq!(lab.status(ARN), "ACTIVE");
    let id = ARN.rsplit('/').next().unwrap();
    for (serial, revoked) in [
        ("62f28d98d4ca1abfdd56df1bbf6cf886", true),
        ("658e6919071daa113891300ac32ee953", true),
        ("6b46f7816d65a90bce03e1f31c1db14e", false),
        ("6a5dbe00b4891bca8a6a0bc96ae6e97b", false),
    ] {
        let answer = lab
            .certificate(ARN, &format!("{ARN}/certificate/{serial}"))
            .unwrap();
        lab.file("leaf.pem", text(&answer, "Certificate"));
        let (_, printed) = lab.openssl(&["x509", "-in", "leaf.pem", "-noout", "-text"]);
        let start = format!("URI:http://crl.example.com/crl/{id}/");
        let partition = printed
            .split(&start)
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let path = format!("/crl/{id}/{}", partition.unwrap());
        let (status, list) = http(lab.address, "GET", &path, &[], b"");
        assert_eq!(status, 200, "{path}");
        lab.file("list.der", list);
        let (_, printed) = lab.openssl(&[
            "crl", "-inform", "DER", "-in", "list.der", "-noout", "-text",
        ]);
        assert_eq!(
            printed.contains(&serial.to_uppercase()),
            revoked,
            "{printed}"
        );
    }
    lab.issue(ARN, &csr("new", &[]), json!({})).unwrap();
    let again = BASE64.encode(b"x");
    let (code, _) = lab.issue(ARN, &again, json!({})).unwrap_err();
    assert_eq!(code, "MalformedCSRException");
}
