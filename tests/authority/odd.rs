//! Requests that would result in an invalid certificate.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::authority::lab::{Lab, csr, has_openssl};

fn passing(extensions: Value) -> Value {
    json!({
        "TemplateArn": "arn:aws:acm-pca:::template/BlankEndEntityCertificate_APIPassthrough/V1",
        "ApiPassthrough": { "Extensions": extensions },
    })
}

/// `2.5.29.019` would be basicConstraints under another name, in addition to the template's.
#[test]
fn only_the_canonical_form_of_an_object_identifier_is_accepted() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    for id in ["2.5.29.019", "2.5.29.035", "2.05.29.19"] {
        let custom = json!([{ "ObjectIdentifier": id, "Value": "MAMBAf8=", "Critical": true }]);
        let asked = passing(json!({ "CustomExtensions": custom }));
        let (code, message) = lab.issue(&root, &csr("x", &[]), asked).unwrap_err();
        assert!(
            ["InvalidArgsException", "ValidationException"].contains(&code.as_str()),
            "{id}: {code} {message}"
        );
    }
}

#[test]
fn a_duplicate_policy_is_refused() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let ask = |policies: Value| {
        let asked = passing(json!({ "CertificatePolicies": policies }));
        lab.issue(&root, &csr("x", &[]), asked)
    };
    let (one, two) = (
        json!({ "CertPolicyId": "1.2.3.4" }),
        json!({ "CertPolicyId": "1.2.3.5" }),
    );
    assert!(ask(json!([one, two])).is_ok());
    let refused = ask(json!([one, two, one])).unwrap_err();
    assert_eq!(refused.0, "InvalidArgsException");
}

#[test]
fn a_weak_key_is_refused() {
    if !has_openssl() {
        return;
    }
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    for (bits, taken) in [("rsa:1024", false), ("rsa:2048", true)] {
        let arguments = [
            "req", "-new", "-newkey", bits, "-nodes", "-subj", "/CN=odd", "-keyout", "odd.key",
            "-out", "odd.csr",
        ];
        let (succeeded, printed) = lab.openssl(&arguments);
        assert!(succeeded, "{printed}");
        let request = std::fs::read_to_string(lab.folder.path().join("odd.csr")).unwrap();
        let issued = lab.issue(&root, &request, json!({}));
        assert_eq!(issued.is_ok(), taken, "{bits}");
        if let Err((code, message)) = issued {
            assert_eq!(code, "MalformedCSRException");
            let words = "not of a supported algorithm and size";
            assert!(message.contains(words), "{message}");
        }
    }
}

#[test]
fn a_key_usage_must_set_a_bit() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    for usage in [json!({}), json!({ "KeyCertSign": false })] {
        let asked = passing(json!({ "KeyUsage": usage }));
        let (code, _) = lab.issue(&root, &csr("x", &[]), asked).unwrap_err();
        assert_eq!(code, "InvalidArgsException");
    }
}

#[test]
fn a_printable_string_with_other_characters_is_refused() {
    let lab = Lab::new();
    let attribute = |id: &str, value: &str| {
        let input = json!({
            "CertificateAuthorityType": "ROOT",
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": { "CustomAttributes": [{ "ObjectIdentifier": id, "Value": value }] },
            },
        });
        lab.call("CreateCertificateAuthority", input)
    };
    for (id, value) in [("2.5.4.6", "Ü"), ("2.5.4.5", "a@b"), ("2.5.4.46", "a*b")] {
        assert_eq!(
            attribute(id, value).unwrap_err().0,
            "InvalidArgsException",
            "{id} {value}"
        );
    }
    assert!(attribute("2.5.4.3", "Ü@*").is_ok());
    assert!(attribute("2.5.4.6", "DE").is_ok());
}

/// Requests from openssl with malformed alternative names.
#[test]
fn malformed_alternative_names_are_refused() {
    if !has_openssl() {
        return;
    }
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    for (value, taken) in [
        ("DER:30:00", false),
        ("DER:04:03:01:02:03", false),
        ("DER:30:05:87:03:01:02:03", false),
        ("DER:30:03:82:01:ff", false),
        ("DER:30:03:82:01:61:00", false),
        ("DER:30:03:82:01:61", true),
        ("DER:30:04:a0:02:06:00", true),
    ] {
        let extension = format!("subjectAltName={value}");
        let arguments = [
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=odd",
            "-addext",
            &extension,
            "-keyout",
            "odd.key",
            "-out",
            "odd.csr",
        ];
        let (succeeded, printed) = lab.openssl(&arguments);
        assert!(succeeded, "{printed}");
        let request = std::fs::read_to_string(lab.folder.path().join("odd.csr")).unwrap();
        let issued = lab.issue(&root, &request, json!({}));
        assert_eq!(issued.is_ok(), taken, "{value}");
        if let Err((code, _)) = issued {
            assert_eq!(code, "MalformedCSRException", "{value}");
        }
    }
    let rubbish = json!([{ "ObjectIdentifier": "2.5.29.17", "Value": BASE64.encode(b"rubbish") }]);
    let (code, _) = lab
        .issue(
            &root,
            &csr("x", &[]),
            passing(json!({ "CustomExtensions": rubbish })),
        )
        .unwrap_err();
    assert_eq!(code, "InvalidArgsException");
}

/// RFC 5280, A.1: names that no certificate may contain are refused, from the API and from the CSR.
#[test]
fn a_subject_outside_of_its_bounds_is_refused() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let long = "c".repeat(65);
    for (name, taken) in [("c", true), (&long[..64], true), (long.as_str(), false)] {
        let issued = lab.issue(&root, &csr(name, &[]), json!({}));
        if taken {
            assert!(issued.is_ok(), "{name}: {issued:?}")
        } else {
            assert_eq!(issued.unwrap_err().0, "MalformedCSRException")
        }
    }
    let custom = |id: &str, value: &str| {
        json!({
            "TemplateArn": "arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1",
            "ApiPassthrough": { "Subject": { "CustomAttributes": [{ "ObjectIdentifier": id, "Value": value }] } },
        })
    };
    for (id, value, taken) in [
        ("2.5.4.6", "US", true),
        ("2.5.4.6", "U1", false),
        ("2.5.4.5", "a_b", false),
        ("2.5.4.3", long.as_str(), false),
    ] {
        let issued = lab.issue(&root, &csr("x", &[]), custom(id, value));
        if taken {
            assert!(issued.is_ok(), "{id} {value}: {issued:?}")
        } else {
            assert_eq!(
                issued.unwrap_err().0,
                "InvalidArgsException",
                "{id} {value}"
            )
        }
    }
    for name in ["127.0.0.1", "spiffe://a/b", "a b"] {
        let names = json!([{ "DnsName": name }]);
        let asked = passing(json!({ "SubjectAlternativeNames": names }));
        let refused = lab.issue(&root, &csr("x", &[]), asked).unwrap_err();
        assert_eq!(refused.0, "InvalidArgsException", "{name}");
    }
}
