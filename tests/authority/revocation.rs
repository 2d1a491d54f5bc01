//! CRLs and OCSP, checked with openssl.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::authority::Clock;

use crate::authority::lab::{Lab, csr, has_openssl, http, text};

/// A hierarchy whose subordinate publishes revocations on this server, with a good and a revoked certificate.
struct Revoking {
    lab: Lab,
}

impl Revoking {
    /// Writes the files root.pem, lower.pem, good.pem and bad.pem to the lab's folder.
    fn new(crl_type: &str) -> Self {
        Self::of(Lab::new(), crl_type)
    }

    fn of(lab: Lab, crl_type: &str) -> Self {
        let root = lab.root("root", json!({}));
        let cname = lab.address.to_string();
        let configuration = json!({ "RevocationConfiguration": {
            "CrlConfiguration": {
                "Enabled": true, "ExpirationInDays": 7, "S3BucketName": "crl-bucket",
                "CustomCname": cname, "CrlType": crl_type,
            },
            "OcspConfiguration": { "Enabled": true, "OcspCustomCname": cname },
        }});
        let lower = lab.subordinate(&root, "lower", 0, configuration);
        for (name, arn) in [("root", &root), ("lower", &lower)] {
            let of = json!({ "CertificateAuthorityArn": arn });
            let answer = lab.call("GetCertificateAuthorityCertificate", of).unwrap();
            lab.file(&format!("{name}.pem"), text(&answer, "Certificate") + "\n");
        }
        for name in ["good", "bad"] {
            let issued = lab.issue(&lower, &csr(name, &[]), json!({})).unwrap();
            let answer = lab.certificate(&lower, &issued).unwrap();
            lab.file(&format!("{name}.pem"), text(&answer, "Certificate") + "\n");
            if name == "bad" {
                let serial = issued.rsplit('/').next().unwrap();
                let input = json!({
                    "CertificateAuthorityArn": lower,
                    "CertificateSerial": serial,
                    "RevocationReason": "KEY_COMPROMISE",
                });
                lab.call("RevokeCertificate", input).unwrap();
            }
        }
        Self { lab }
    }

    /// Downloads the CRL in a certificate to crl.pem, and returns the path of its address.
    fn fetch(&self, certificate: &str) -> String {
        let (_, printed) = self.lab.openssl(&[
            "x509",
            "-in",
            certificate,
            "-noout",
            "-ext",
            "crlDistributionPoints",
        ]);
        let path = printed
            .lines()
            .find_map(|line| {
                line.trim()
                    .strip_prefix(&format!("URI:http://{}", self.lab.address))
            })
            .unwrap_or_else(|| panic!("no address of this server in {printed}"))
            .to_owned();
        let (status, list) = http(self.lab.address, "GET", &path, &[], b"");
        assert_eq!(status, 200);
        self.lab.file("crl.der", list);
        let (succeeded, printed) = self
            .lab
            .openssl(&["crl", "-inform", "DER", "-in", "crl.der", "-out", "crl.pem"]);
        assert!(succeeded, "{printed}");
        path
    }

    fn verify(&self, certificate: &str) -> (bool, String) {
        let arguments = [
            "verify",
            "-CAfile",
            "root.pem",
            "-untrusted",
            "lower.pem",
            "-crl_check",
            "-extended_crl",
            "-CRLfile",
            "crl.pem",
            certificate,
        ];
        self.lab.openssl(&arguments)
    }
}

#[test]
fn a_revoked_certificate_is_in_its_crl() {
    if !has_openssl() {
        return;
    }
    for crl_type in ["COMPLETE", "PARTITIONED"] {
        let revoking = Revoking::new(crl_type);
        revoking.fetch("good.pem");
        let (good, printed) = revoking.verify("good.pem");
        assert!(good, "{printed}");
        let path = revoking.fetch("bad.pem");
        let (good, printed) = revoking.verify("bad.pem");
        assert!(
            !good && printed.contains("certificate revoked"),
            "{printed}"
        );

        let (_, printed) = revoking
            .lab
            .openssl(&["crl", "-in", "crl.pem", "-noout", "-text"]);
        assert!(printed.contains("Key Compromise"), "{printed}");
        let partitioned = printed.contains("X509v3 Issuing Distribution Point: critical");
        assert_eq!(partitioned, crl_type == "PARTITIONED");
        let object = revoking
            .lab
            .state()
            .join("buckets/crl-bucket")
            .join(path.trim_start_matches('/'));
        assert!(object.exists(), "{}", object.display());
    }
}

#[test]
fn openssl_accepts_the_responses_of_the_responder() {
    if !has_openssl() {
        return;
    }
    let revoking = Revoking::new("COMPLETE");
    let url = revoking.lab.endpoint();
    let ask = |certificate: &str| {
        let arguments = [
            "ocsp",
            "-issuer",
            "lower.pem",
            "-cert",
            certificate,
            "-url",
            &url,
            "-CAfile",
            "root.pem",
            "-no_nonce",
        ];
        revoking.lab.openssl(&arguments).1
    };
    let printed = ask("good.pem");
    assert!(
        printed.contains("Response verify OK") && printed.contains("good.pem: good"),
        "{printed}"
    );
    let printed = ask("bad.pem");
    assert!(
        printed.contains("Response verify OK") && printed.contains("bad.pem: revoked"),
        "{printed}"
    );
    assert!(printed.contains("Reason: keyCompromise"), "{printed}");

    let kind = [("content-type", "application/ocsp-request")];
    let (status, body) = http(revoking.lab.address, "POST", "/", &kind, b"nonsense");
    assert_eq!(
        (status, body),
        (200, vec![0x30, 3, 0x0a, 1, 1]),
        "malformedRequest"
    );
}

#[test]
fn without_a_custom_cname_the_addresses_are_those_of_aws() {
    if !has_openssl() {
        return;
    }
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let configuration = json!({ "RevocationConfiguration": {
        "CrlConfiguration": { "Enabled": true, "ExpirationInDays": 7, "S3BucketName": "my-bucket" },
        "OcspConfiguration": { "Enabled": true },
    }});
    let lower = lab.subordinate(&root, "lower", 0, configuration);
    let issued = lab.issue(&lower, &csr("leaf", &[]), json!({})).unwrap();
    let answer = lab.certificate(&lower, &issued).unwrap();
    lab.file("leaf.pem", text(&answer, "Certificate"));
    let (_, printed) = lab.openssl(&["x509", "-in", "leaf.pem", "-noout", "-text"]);
    let id = lower.rsplit('/').next().unwrap();
    assert!(
        printed.contains(&format!(
            "URI:http://my-bucket.s3.us-east-1.amazonaws.com/crl/{id}.crl"
        )),
        "{printed}"
    );
    assert!(
        printed.contains("OCSP - URI:http://ocsp.acm-pca.us-east-1.amazonaws.com"),
        "{printed}"
    );
}

#[test]
fn a_bucket_or_path_outside_of_the_folder_is_refused() {
    let lab = Lab::new();
    for (member, value) in [
        ("S3BucketName", "../../x"),
        ("S3BucketName", "a/b"),
        ("CustomPath", "a/../../b"),
    ] {
        let mut crl =
            json!({ "Enabled": true, "ExpirationInDays": 7, "S3BucketName": "good-bucket" });
        crl[member] = Value::from(value);
        let input = json!({
            "CertificateAuthorityType": "ROOT",
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": { "CommonName": "x" },
            },
            "RevocationConfiguration": { "CrlConfiguration": crl },
        });
        let (code, _) = lab.call("CreateCertificateAuthority", input).unwrap_err();
        assert_eq!(code, "InvalidArgsException", "{member} {value}");
    }
}

#[test]
fn an_expired_certificate_is_in_one_more_crl() {
    if !has_openssl() {
        return;
    }
    let clock = Clock::manual();
    let lab = Lab::with(|options| options.clock = clock.clone());
    let revoking = Revoking::of(lab, "COMPLETE");
    let listed = || {
        revoking.fetch("bad.pem");
        let arguments = ["crl", "-in", "crl.pem", "-noout", "-text"];
        let (_, printed) = revoking.lab.openssl(&arguments);
        printed.matches("Serial Number:").count()
    };
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(listed(), 1);
    clock.advance(31 * day);
    assert_eq!(
        listed(),
        1,
        "lists that live 7 days were made before its expiry"
    );
    clock.advance(7 * day);
    assert_eq!(listed(), 0);
}
