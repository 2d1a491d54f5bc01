//! SigV4, sharing between accounts, quotas and faults.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use windlass::authority::{Clock, Options, Quotas, Server, StartError};

use crate::authority::lab::{Lab, both, call, csr, has_aws, http};

#[test]
fn a_server_with_access_keys_accepts_only_their_signatures() {
    let lab = Lab::with(|options| options.access_keys = vec!["AKID:secret".parse().unwrap()]);
    assert_eq!(
        lab.call("ListCertificateAuthorities", json!({}))
            .unwrap_err()
            .0,
        "MissingAuthenticationTokenException"
    );
    let forged = lab.call_as("AKID", "us-east-1", "ListCertificateAuthorities", json!({}));
    assert_eq!(forged.unwrap_err().0, "IncompleteSignatureException");
    if !has_aws() {
        return;
    }
    let list = |id: &str, secret: &str| {
        let output = Command::new("aws")
            .args([
                "acm-pca",
                "list-certificate-authorities",
                "--endpoint-url",
                &lab.endpoint(),
            ])
            .envs([
                ("AWS_ACCESS_KEY_ID", id),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_DEFAULT_REGION", "us-east-1"),
            ])
            .output()
            .unwrap();
        (output.status.success(), both(&output))
    };
    let (succeeded, printed) = list("AKID", "secret");
    assert!(succeeded, "{printed}");
    assert!(
        list("AKID", "wrong")
            .1
            .contains("InvalidSignatureException")
    );
    assert!(
        list("OTHER", "secret")
            .1
            .contains("UnrecognizedClientException")
    );
}

#[test]
fn a_server_off_loopback_requires_access_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::local(folder.path().to_owned());
    options.listen = "0.0.0.0:0".parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(Server::start(options)).err().unwrap();
    assert!(matches!(refused, StartError::Open(_)), "{refused}");
}

#[test]
fn the_error_for_another_account_names_the_account_and_the_action() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let of = json!({ "CertificateAuthorityArn": root });
    let (code, message) = lab
        .call_as(
            "111122223333",
            "us-east-1",
            "DescribeCertificateAuthority",
            of,
        )
        .unwrap_err();
    assert_eq!(code, "AccessDeniedException");
    assert!(
        message.contains("111122223333")
            && message.contains("acm-pca:DescribeCertificateAuthority"),
        "{message}"
    );
}

#[test]
fn rates_of_aws_are_enforced_with_quotas() {
    let clock = Clock::manual();
    let lab = Lab::with(|options| {
        options.quotas = Quotas::Aws;
        options.clock = clock.clone();
    });
    let list = || lab.call("ListCertificateAuthorities", json!({}));
    for _ in 0..20 {
        list().unwrap();
    }
    assert_eq!(
        list().unwrap_err(),
        ("ThrottlingException".into(), "Rate exceeded".into())
    );
    clock.advance(Duration::from_secs(1));
    list().unwrap();
}

#[test]
fn a_fault_refuses_a_request_loses_its_response_or_fails_it_later() {
    let lab = Lab::with(|options| {
        options.faults = [
            "ListTags:ThrottlingException:100%",
            "TagCertificateAuthority:InternalFailure:100%:after",
        ]
        .map(|fault| fault.parse().unwrap())
        .to_vec();
    });
    let root = lab.root("root", json!({}));
    let of = json!({ "CertificateAuthorityArn": root });
    assert_eq!(
        lab.call("ListTags", of).unwrap_err().0,
        "ThrottlingException"
    );
    let tag = json!({ "CertificateAuthorityArn": root, "Tags": [{ "Key": "a" }] });
    assert_eq!(
        lab.call("TagCertificateAuthority", tag).unwrap_err().0,
        "InternalFailure"
    );

    let folder = lab.state();
    let other = Lab::with(|options| {
        options.folder = folder;
        options.faults = vec![
            "IssueCertificate:RequestFailedException:100%"
                .parse()
                .unwrap(),
        ];
    });
    let of = json!({ "CertificateAuthorityArn": root });
    assert_eq!(
        other.call("ListTags", of).unwrap()["Tags"],
        json!([{ "Key": "a" }])
    );
    let issued = other.issue(&root, &csr("x", &[]), json!({})).unwrap();
    assert_eq!(
        other.certificate(&root, &issued).unwrap_err().0,
        "RequestFailedException"
    );
}

#[test]
fn a_web_page_cannot_use_the_server() {
    let lab = Lab::new();
    let path = "/service/ACMPrivateCA/operation/ListCertificateAuthorities";
    let (status, _) = http(
        lab.address,
        "POST",
        path,
        &[("content-type", "text/plain")],
        b"",
    );
    assert_eq!(
        status, 404,
        "without a header that browsers must ask for first"
    );
    let (status, _) = http(
        lab.address,
        "OPTIONS",
        "/",
        &[("origin", "https://example.com")],
        b"",
    );
    assert_eq!(status, 404);
    let rebound = [
        ("host", "evil.example.com"),
        ("x-amz-target", "ACMPrivateCA.ListCertificateAuthorities"),
    ];
    let (status, body) = http(lab.address, "POST", "/", &rebound, b"{}");
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&body).contains("AccessDeniedException"));
    assert_eq!(
        call(lab.address, "Nonsense", &json!({}), None)
            .unwrap_err()
            .0,
        "UnknownOperationException"
    );
}
