//! Statuses, periods, tokens and delays, with a manual clock.

use std::time::Duration;

use serde_json::json;
use windlass::authority::{Clock, Idempotency};

use crate::authority::lab::{Lab, csr, text};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn clocked() -> (Lab, Clock) {
    let clock = Clock::manual();
    let lab = Lab::with(|options| options.clock = clock.clone());
    (lab, clock)
}

#[test]
fn a_token_with_the_same_parameters_is_valid_for_five_minutes() {
    let (lab, clock) = clocked();
    let root = lab.root("root", json!({}));
    let (one, two) = (csr("one", &[]), csr("two", &[]));
    let issue = |csr: &str| {
        lab.issue(&root, csr, json!({ "IdempotencyToken": "t" }))
            .unwrap()
    };
    let first = issue(&one);
    assert_ne!(issue(&two), first);
    clock.advance(4 * MINUTE);
    assert_eq!(issue(&one), first);
    clock.advance(2 * MINUTE);
    assert_ne!(issue(&one), first);
}

#[test]
fn token_only_returns_the_earlier_response_for_any_request() {
    let lab = Lab::with(|options| options.idempotency = Idempotency::TokenOnly);
    let root = lab.root("root", json!({}));
    let issue = |csr: &str| {
        lab.issue(&root, csr, json!({ "IdempotencyToken": "t" }))
            .unwrap()
    };
    assert_eq!(issue(&csr("one", &[])), issue(&csr("two", &[])));
}

#[test]
fn creating_issuing_and_settling_take_the_configured_time() {
    let clock = Clock::manual();
    let lab = Lab::with(|options| {
        options.clock = clock.clone();
        options.delays.create = MINUTE;
        options.delays.issue = MINUTE;
        options.delays.settle = MINUTE;
    });
    let arn = lab.authority("ROOT", "root", json!({}));
    let of = json!({ "CertificateAuthorityArn": arn });
    assert_eq!(lab.status(&arn), "CREATING");
    let (code, _) = lab
        .call("GetCertificateAuthorityCsr", of.clone())
        .unwrap_err();
    assert_eq!(code, "RequestInProgressException");
    clock.advance(MINUTE);
    assert_eq!(lab.status(&arn), "PENDING_CERTIFICATE");
    let request = text(&lab.call("GetCertificateAuthorityCsr", of).unwrap(), "Csr");

    let template = json!({ "TemplateArn": "arn:aws:acm-pca:::template/RootCACertificate/V1" });
    let issued = lab.issue(&arn, &request, template).unwrap();
    let (code, _) = lab.certificate(&arn, &issued).unwrap_err();
    assert_eq!(code, "RequestInProgressException");
    clock.advance(MINUTE);
    let certificate = text(&lab.certificate(&arn, &issued).unwrap(), "Certificate");

    let import = json!({
        "CertificateAuthorityArn": arn,
        "Certificate": data_encoding::BASE64.encode(certificate.as_bytes()),
    });
    lab.call("ImportCertificateAuthorityCertificate", import)
        .unwrap();
    assert_eq!(lab.status(&arn), "ACTIVE");
    let (code, message) = lab
        .issue(
            &arn,
            &csr("leaf", &[]),
            json!({ "Validity": { "Value": 1 } }),
        )
        .unwrap_err();
    assert_eq!(code, "InvalidStateException");
    assert_eq!(
        message,
        "The certificate authority is not in a valid state for issuing certificates"
    );
    clock.advance(MINUTE);
    lab.issue(
        &arn,
        &csr("leaf", &[]),
        json!({ "Validity": { "Value": 1 } }),
    )
    .unwrap();
}

#[test]
fn a_deleted_authority_can_be_restored_within_its_period() {
    let (lab, clock) = clocked();
    let of = |arn: &str| json!({ "CertificateAuthorityArn": arn });
    let delete = |arn: &str| {
        let input = json!({ "CertificateAuthorityArn": arn, "PermanentDeletionTimeInDays": 7 });
        lab.call("DeleteCertificateAuthority", input).unwrap();
    };
    let arn = lab.authority("ROOT", "root", json!({}));
    delete(&arn);
    clock.advance(6 * DAY);
    lab.call("RestoreCertificateAuthority", of(&arn)).unwrap();
    assert_eq!(lab.status(&arn), "PENDING_CERTIFICATE");
    delete(&arn);
    clock.advance(7 * DAY);
    let (code, _) = lab
        .call("RestoreCertificateAuthority", of(&arn))
        .unwrap_err();
    assert_eq!(code, "ResourceNotFoundException");
    let listed = lab.call("ListCertificateAuthorities", json!({})).unwrap();
    assert_eq!(listed["CertificateAuthorities"], json!([]));

    // Its key is deleted, too, at the latest when a server starts.
    let rows = || -> i64 {
        let database = rusqlite::Connection::open(lab.state().join("authority.db")).unwrap();
        database
            .query_row("SELECT count(*) FROM authority", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(rows(), 1);
    let folder = lab.state();
    drop(Lab::with(|options| {
        options.folder = folder;
        options.clock = clock.clone();
    }));
    assert_eq!(rows(), 0);
}

#[test]
fn an_authority_expires_with_its_certificate_and_an_import_renews_it() {
    let (lab, clock) = clocked();
    let root = lab.root("root", json!({}));
    let lower = lab.subordinate(&root, "lower", 0, json!({}));
    clock.advance(1001 * DAY);
    assert_eq!(lab.status(&lower), "EXPIRED");
    assert_eq!(
        lab.issue(&lower, &csr("x", &[]), json!({})).unwrap_err().0,
        "InvalidStateException"
    );
    lab.activate(&lower, &root, "SubordinateCACertificate_PathLen0/V1", 500);
    assert_eq!(lab.status(&lower), "ACTIVE");
}

#[test]
fn a_certificate_is_limited_by_the_validity_and_path_length_of_its_authority() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let lower = lab.subordinate(&root, "lower", 1, json!({}));
    let request = csr("x", &[]);
    let (code, message) = lab
        .issue(&lower, &request, json!({ "Validity": { "Value": 1001 } }))
        .unwrap_err();
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "The certificate validity specified exceeds the certificate authority validity"
    );
    let deep = |length: u8| {
        let name =
            format!("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen{length}/V1");
        lab.issue(&lower, &request, json!({ "TemplateArn": name }))
    };
    assert!(deep(0).is_ok());
    assert_eq!(deep(1).unwrap_err().0, "ValidationException");
    let short = lab.root("short", json!({ "UsageMode": "SHORT_LIVED_CERTIFICATE" }));
    let of = |days: u32| lab.issue(&short, &request, json!({ "Validity": { "Value": days } }));
    assert!(of(7).is_ok());
    assert_eq!(of(8).unwrap_err().0, "ValidationException");
}

#[test]
fn an_import_needs_the_certificate_of_the_authority_with_a_complete_ordered_chain() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let middle = lab.subordinate(&root, "middle", 1, json!({}));
    let arn = lab.authority("SUBORDINATE", "lower", json!({}));
    let of = json!({ "CertificateAuthorityArn": arn });
    let request = text(&lab.call("GetCertificateAuthorityCsr", of).unwrap(), "Csr");
    let template =
        json!({ "TemplateArn": "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1" });
    let issued = lab.issue(&middle, &request, template.clone()).unwrap();
    let answer = lab.certificate(&middle, &issued).unwrap();
    let (own, chain) = (
        text(&answer, "Certificate"),
        text(&answer, "CertificateChain"),
    );
    let end = "-----END CERTIFICATE-----\n";
    let (first, second) = chain.split_once(end).unwrap();
    let (first, second) = (format!("{first}{end}"), format!("{second}\n"));
    let other = lab.issue(&middle, &csr("lower", &[]), template).unwrap();
    let other = text(&lab.certificate(&middle, &other).unwrap(), "Certificate");

    let import = |certificate: &str, chain: Option<&str>| {
        let mut input = json!({
            "CertificateAuthorityArn": arn,
            "Certificate": data_encoding::BASE64.encode(certificate.as_bytes()),
        });
        if let Some(chain) = chain {
            input["CertificateChain"] = json!(data_encoding::BASE64.encode(chain.as_bytes()));
        }
        lab.call("ImportCertificateAuthorityCertificate", input)
    };
    let code = |certificate: &str, chain: Option<&str>| import(certificate, chain).unwrap_err().0;
    assert_eq!(code(&own, None), "InvalidRequestException");
    assert_eq!(
        code("nonsense", Some(&chain)),
        "MalformedCertificateException"
    );
    assert_eq!(code(&own, Some(&first)), "MalformedCertificateException");
    assert_eq!(
        code(&own, Some(&format!("{second}{first}"))),
        "MalformedCertificateException"
    );
    assert_eq!(
        code(&own, Some(&format!("{own}\n{chain}"))),
        "MalformedCertificateException"
    );
    assert_eq!(
        code(&own, Some(&format!("{chain}\n{second}"))),
        "MalformedCertificateException",
        "nothing comes after a root"
    );
    assert_eq!(code(&other, Some(&chain)), "CertificateMismatchException");
    import(&own, Some(&chain)).unwrap();
    assert_eq!(lab.status(&arn), "ACTIVE");
}

/// A folder that was written when certificates lay in the order of their serial numbers.
#[test]
fn a_folder_of_version_2_keeps_its_certificates() {
    keeps_its_certificates("authority-v2");
}

/// A folder that was written when a revocation did not say when its certificate expires.
#[test]
fn a_folder_of_version_3_keeps_its_certificates() {
    keeps_its_certificates("authority-v3");
}

fn keeps_its_certificates(folder: &str) {
    const ARN: &str = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/4f10371d-51f1-41a3-8d6f-b382192b2a8f";
    let fixture = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder)
        .join("authority.db");
    let lab = Lab::with(|options| {
        std::fs::create_dir_all(&options.folder).unwrap();
        std::fs::copy(&fixture, options.folder.join("authority.db")).unwrap();
    });
    assert_eq!(lab.status(ARN), "ACTIVE");
    let new = lab.issue(ARN, &csr("new", &[]), json!({})).unwrap();
    let serials = [
        "5f45d56d02b9c254eb1bb7dabdeb8741",
        "54b7c6b4e61a70cd18264ebb9341dcb2",
        "4da21b2e857cb72f49762900e52b1bad",
        "7cffc5fb7b3661ee3f50037127a77bbd",
        new.rsplit('/').next().unwrap(),
    ];
    for serial in serials {
        let arn = format!("{ARN}/certificate/{serial}");
        assert!(lab.certificate(ARN, &arn).is_ok(), "{serial}");
    }
    let input = json!({
        "CertificateAuthorityArn": ARN, "S3BucketName": "reports", "AuditReportResponseFormat": "JSON",
    });
    let answer = lab
        .call("CreateCertificateAuthorityAuditReport", input)
        .unwrap();
    let report = lab
        .state()
        .join("buckets/reports")
        .join(text(&answer, "S3Key"));
    let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let of = |row: &serde_json::Value| {
        let revoked = row["revokedAt"].is_string();
        (text(row, "serial").replace(':', ""), revoked)
    };
    let listed: Vec<_> = rows.as_array().unwrap().iter().map(of).collect();
    let expected = serials.map(|serial| (serial.to_owned(), serial.starts_with("7cff")));
    assert_eq!(listed, expected);
}
