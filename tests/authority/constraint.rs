//! Name constraints, checked with openssl.
//!
//! An authority of openssl signs an authority of ours with constraints, and a twin of ours with the same ones. What ours
//! issues must verify; what it refuses is issued by the twin, and must not verify.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::authority::lab::{Lab, Refusal, has_openssl, text};

/// The configuration of the outside authority.
const OUTSIDE: &str = "
[req]
prompt = no
distinguished_name = name
[name]
CN = outside
[corp]
O = Corp
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
";

struct Constrained {
    lab: Lab,
    ours: String,
}

impl Constrained {
    /// Creates an authority of ours under an outside root, each with constraints in the syntax of openssl's configuration.
    fn new(root: &str, own: &str) -> Result<Self, Refusal> {
        let constraint = |words: &str| match words {
            "" => String::new(),
            words => format!("nameConstraints = critical,{words}\n"),
        };
        Self::of("", &constraint(root), &constraint(own))
    }

    /// Works as `new`, with additions to the root's basic constraints and to both certificates.
    fn of(length: &str, root: &str, own: &str) -> Result<Self, Refusal> {
        let lab = Lab::new();
        let (_, authority) = OUTSIDE.split_once("[authority]\n").unwrap();
        let above = authority.replace("CA:TRUE", &format!("CA:TRUE{length}"));
        let conf = format!("{OUTSIDE}{own}[root]\n{above}{root}");
        lab.file("outside.conf", conf);
        let made = Self {
            ours: lab.authority(
                "SUBORDINATE",
                "ours",
                json!({ "CertificateAuthorityConfiguration": {
                    "Subject": { "Organization": "Corp" },
                }}),
            ),
            lab,
        };
        made.run("req -x509 -new -config outside.conf -extensions root -days 3650 -keyout root.key -out root.pem");
        let of = json!({ "CertificateAuthorityArn": made.ours });
        let csr = text(
            &made.lab.call("GetCertificateAuthorityCsr", of).unwrap(),
            "Csr",
        );
        made.lab.file("ours.csr", csr);
        made.run(
            "req -new -config outside.conf -subj /O=Corp/CN=ours -keyout twin.key -out twin.csr",
        );
        for name in ["ours", "twin"] {
            made.run(&format!("x509 -req -in {name}.csr -CA root.pem -CAkey root.key -days 2000 -extfile outside.conf -extensions authority -out {name}.pem"));
        }
        let [certificate, chain] =
            ["ours.pem", "root.pem"].map(|name| BASE64.encode(made.read(name).as_bytes()));
        let import = json!({
            "CertificateAuthorityArn": made.ours, "Certificate": certificate, "CertificateChain": chain,
        });
        made.lab
            .call("ImportCertificateAuthorityCertificate", import)?;
        Ok(made)
    }

    /// Runs openssl, with a P-256 key if it creates one.
    fn run(&self, line: &str) -> String {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let line = line.replace("-new ", &format!("-new {key} "));
        let arguments: Vec<&str> = line.split(' ').collect();
        let (succeeded, printed) = self.lab.openssl(&arguments);
        assert!(succeeded, "{line}\n{printed}");
        printed
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.lab.folder.path().join(name)).unwrap()
    }

    /// Requests a certificate, and checks with openssl that it is valid if it was issued. Returns whether it was issued.
    fn issues(&self, subject: &str, names: &str) -> bool {
        let names = match names {
            "" => String::new(),
            names => format!(" -addext subjectAltName={names}"),
        };
        self.run(&format!(
            "req -new -config outside.conf -subj {subject}{names} -keyout leaf.key -out leaf.csr"
        ));
        match self
            .lab
            .issue(&self.ours, &self.read("leaf.csr"), json!({}))
        {
            Ok(issued) => {
                let answer = self.lab.certificate(&self.ours, &issued).unwrap();
                self.lab.file("leaf.pem", text(&answer, "Certificate"));
                let (succeeded, printed) = self.verify("ours.pem");
                assert!(
                    succeeded,
                    "issued, and not valid: {subject} {names}\n{printed}"
                );
                true
            }
            Err((code, message)) => {
                assert_eq!(code, "ValidationException", "{message}");
                assert!(message.contains("by the name constraints"), "{message}");
                false
            }
        }
    }

    /// Returns whether openssl accepts the certificate that the twin issues for the last request.
    fn would_verify(&self) -> bool {
        self.run("x509 -req -in leaf.csr -CA twin.pem -CAkey twin.key -copy_extensions copy -days 30 -out leaf.pem");
        let (succeeded, printed) = self.verify("twin.pem");
        assert!(
            succeeded || printed.contains("subtree violation"),
            "{printed}"
        );
        succeeded
    }

    fn verify(&self, issuer: &str) -> (bool, String) {
        let arguments = [
            "verify",
            "-CAfile",
            "root.pem",
            "-untrusted",
            issuer,
            "leaf.pem",
        ];
        self.lab.openssl(&arguments)
    }
}

#[test]
fn an_authority_issues_only_what_its_constraints_allow() {
    if !has_openssl() {
        return;
    }
    let ip6 = "IP:fd00::1";
    for (constraints, requests) in [
        (
            "permitted;DNS:corp,excluded;DNS:secret.corp",
            vec![
                ("/O=Corp/CN=leaf", "DNS:a.corp", true),
                ("/O=Corp/CN=leaf", "DNS:CORP", true),
                ("/O=Corp/CN=leaf", "DNS:a.secret.corp", false),
                ("/O=Corp/CN=leaf", "DNS:secret.corp", false),
                ("/O=Corp/CN=leaf", "DNS:example.com", false),
                ("/O=Corp/CN=leaf", "DNS:notcorp", false),
                ("/O=Corp/CN=leaf", "DNS:a.corp,DNS:b.example.com", false),
                ("/O=Corp/CN=leaf", "email:a@b.example,IP:10.1.2.3", true),
                ("/O=Corp/CN=host.example.com", "", false),
                ("/O=Corp/CN=host.example.com", "DNS:a.corp", true),
                ("/O=Corp/CN=host.corp", "", true),
            ],
        ),
        (
            "permitted;email:corp.example,permitted;URI:.corp.example,permitted;IP:10.0.0.0/255.0.0.0",
            vec![
                ("/CN=leaf", "email:a@corp.example", true),
                ("/CN=leaf", "email:a@x.corp.example", false),
                ("/CN=leaf", "URI:https://a.corp.example/x", true),
                ("/CN=leaf", "URI:https://corp.example/", false),
                ("/CN=leaf", "URI:spiffe://mesh.corp.example/ns/x/sa/y", true),
                ("/CN=leaf", "URI:spiffe://cluster.local/ns/x/sa/y", false),
                ("/CN=leaf", "IP:10.9.9.9", true),
                ("/CN=leaf", "IP:11.0.0.1", false),
                ("/CN=leaf", ip6, false),
                ("/CN=leaf", "DNS:anything.example", true),
                ("/CN=leaf/emailAddress=a@evil.example", "", false),
                ("/CN=leaf/emailAddress=a@corp.example", "", true),
            ],
        ),
        (
            "excluded;IP:0.0.0.0/0.0.0.0,excluded;email:.evil.example,excluded;URI:evil.example",
            vec![
                ("/CN=leaf", "IP:1.2.3.4", false),
                ("/CN=leaf", ip6, true),
                ("/CN=leaf", "email:a@x.evil.example", false),
                ("/CN=leaf", "email:a@evil.example", true),
                ("/CN=leaf", "URI:https://evil.example:8443/", false),
                ("/CN=leaf", "URI:https://good.example/", true),
            ],
        ),
        (
            "permitted;dirName:corp",
            vec![
                ("/O=Corp/CN=leaf", "", true),
                ("/O=CORP/OU=x/CN=leaf", "", true),
                ("/O=Other/CN=leaf", "", false),
                ("/CN=leaf/O=Corp", "", false),
            ],
        ),
    ] {
        let made = Constrained::new("", constraints).unwrap();
        for (subject, names, expected) in requests {
            let issued = made.issues(subject, names);
            assert_eq!(issued, expected, "{constraints}: {subject} {names}");
            assert_eq!(
                made.would_verify(),
                expected,
                "openssl on {constraints}: {subject} {names}"
            );
        }
    }
}

/// Names that AWS's page or caution forbid, although openssl accepts them.
#[test]
fn in_doubt_a_name_is_refused() {
    if !has_openssl() {
        return;
    }
    let made = Constrained::new("", "permitted;DNS:corp,excluded;DNS:secret.corp").unwrap();
    assert!(
        !made.issues("/CN=leaf", "DNS:*.corp"),
        "it matches secret.corp"
    );
    assert!(made.would_verify());
    let made = Constrained::new("", "excluded;URI:evil.example").unwrap();
    let disguised = "URI:https://good.example:x@evil.example/";
    assert!(
        !made.issues("/CN=leaf", disguised),
        "its host is evil.example"
    );
    assert!(made.would_verify());
}

#[test]
fn constraints_of_the_whole_chain_apply() {
    if !has_openssl() {
        return;
    }
    let made = Constrained::new(
        "permitted;DNS:private,permitted;DNS:corp",
        "permitted;DNS:sub.private,permitted;DNS:elsewhere",
    )
    .unwrap();
    for (names, expected) in [
        ("DNS:a.sub.private", true),
        ("DNS:a.private", false),
        ("DNS:a.corp", false),
        ("DNS:a.elsewhere", false),
    ] {
        assert_eq!(made.issues("/CN=leaf", names), expected, "{names}");
        assert_eq!(made.would_verify(), expected, "{names}");
    }
}

#[test]
fn a_certificate_with_violated_or_unknown_constraints_cannot_be_imported() {
    if !has_openssl() {
        return;
    }
    let refused = |root: &str, own: &str| Constrained::new(root, own).err().unwrap();
    let (code, message) = refused("", "permitted;RID:1.2.3.4");
    assert_eq!(code, "MalformedCertificateException");
    assert!(message.contains("registeredID"), "{message}");
    let (code, message) = refused("excluded;dirName:corp", "");
    assert_eq!(code, "CertificateMismatchException", "{message}");
    assert!(Constrained::new("permitted;dirName:corp", "").is_ok());
}

#[test]
fn an_authority_key_identifier_must_name_the_key_of_the_issuer() {
    if !has_openssl() {
        return;
    }
    let right = "authorityKeyIdentifier = keyid:always,issuer:always\n";
    assert!(Constrained::of("", "", right).is_ok());
    for (identifier, serial) in [("80:02:00:01", ""), ("", "82:01:01")] {
        let length = if serial.is_empty() { "04" } else { "03" };
        let wrong = format!("2.5.29.35 = DER:30:{length}:{identifier}{serial}\n");
        let (code, message) = Constrained::of("", "", &wrong).err().unwrap();
        assert_eq!(code, "MalformedCertificateException", "{message}");
    }
}

#[test]
fn path_lengths_of_the_whole_chain_apply() {
    if !has_openssl() {
        return;
    }
    for (root, allowed) in [(1, None), (2, Some(0)), (3, Some(1))] {
        let made = Constrained::of(&format!(",pathlen:{root}"), "", "").unwrap();
        for asked in 0..=2 {
            let template =
                format!("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen{asked}/V1");
            let request = crate::authority::lab::csr("lower", &[]);
            let issued = made
                .lab
                .issue(&made.ours, &request, json!({ "TemplateArn": template }));
            let expected = allowed.is_some_and(|allowed| asked <= allowed);
            assert_eq!(issued.is_ok(), expected, "{asked} under {root}");
            if let Err((code, message)) = issued {
                assert_eq!(code, "ValidationException", "{message}");
            }
        }
    }
}

/// Constraints that the API passes through, with an authority of ours above and below.
#[test]
fn constraints_from_the_api_apply_to_the_subordinate() {
    if !has_openssl() {
        return;
    }
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let lower = lab.authority("SUBORDINATE", "lower", json!({}));
    let of = json!({ "CertificateAuthorityArn": lower });
    let csr = text(&lab.call("GetCertificateAuthorityCsr", of).unwrap(), "Csr");
    // permitted: the DNS name `corp`
    let permitted = b"\x30\x0a\xa0\x08\x30\x06\x82\x04corp";
    let more = json!({
        "TemplateArn": "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0_APIPassthrough/V1",
        "Validity": { "Value": 1000 },
        "ApiPassthrough": { "Extensions": { "CustomExtensions": [
            { "ObjectIdentifier": "2.5.29.30", "Value": BASE64.encode(permitted), "Critical": true },
        ]}},
    });
    let issued = lab.issue(&root, &csr, more).unwrap();
    let answer = lab.certificate(&root, &issued).unwrap();
    let encoded = |member: &str| BASE64.encode(text(&answer, member).as_bytes());
    let import = json!({
        "CertificateAuthorityArn": lower,
        "Certificate": encoded("Certificate"),
        "CertificateChain": encoded("CertificateChain"),
    });
    lab.call("ImportCertificateAuthorityCertificate", import)
        .unwrap();
    let ask = |name: &str, more: Value| {
        lab.issue(&lower, &crate::authority::lab::csr("leaf", &[name]), more)
    };
    assert!(ask("a.corp", json!({})).is_ok());
    assert_eq!(
        ask("a.example", json!({})).unwrap_err().0,
        "ValidationException"
    );
    let by_api = json!({
        "TemplateArn": "arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1",
        "ApiPassthrough": { "Extensions": { "SubjectAlternativeNames": [{ "DnsName": "a.example" }] } },
    });
    assert_eq!(ask("a.corp", by_api).unwrap_err().0, "ValidationException");
}
