//! Malformed input is refused with AWS's errors, and never makes the server panic.

use data_encoding::BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    authority::lab::{Lab, call, csr, http},
    harness::runner,
};

fn pem(der: &[u8]) -> String {
    let body = BASE64.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    BASE64.decode(body.as_bytes()).unwrap()
}

#[test]
fn a_damaged_csr_is_malformed() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let whole = der(&csr("fuzz", &["a.example.com"]));
    let damage = prop_oneof![
        (0..whole.len(), any::<u8>()).prop_map(|(at, byte)| (at, byte, false)),
        (0..whole.len(), any::<u8>()).prop_map(|(at, byte)| (at, byte, true)),
    ];
    runner(300)
        .run(&prop::collection::vec(damage, 1..4), |damages| {
            let mut broken = whole.clone();
            for (at, byte, cut) in damages {
                if cut {
                    broken.truncate(at);
                } else if let Some(place) = broken.get_mut(at) {
                    *place = byte;
                }
            }
            prop_assume!(broken != whole);
            let refused = lab.issue(&root, &pem(&broken), json!({})).unwrap_err();
            // The model's limits are checked before the CSR is parsed, and refuse an empty one.
            prop_assert_eq!(refused.0, "MalformedCSRException");
            Ok(())
        })
        .unwrap();
}

#[test]
fn arbitrary_bytes_are_a_malformed_csr() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    runner(200)
        .run(&prop::collection::vec(any::<u8>(), 1..400), |bytes| {
            for text in [pem(&bytes), String::from_utf8_lossy(&bytes).into_owned()] {
                let refused = lab.issue(&root, &text, json!({})).unwrap_err();
                prop_assert_eq!(refused.0, "MalformedCSRException");
            }
            Ok(())
        })
        .unwrap();
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![
            Just("CertificateAuthorityArn".to_owned()),
            Just("CertificateAuthorityConfiguration".to_owned()),
            Just("Subject".to_owned()),
            Just("Tags".to_owned()),
            Just("Csr".to_owned()),
            Just("Validity".to_owned()),
            "[A-Z][a-z]{1,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

#[test]
fn any_json_and_any_bytes_get_a_client_error() {
    let lab = Lab::new();
    let operations = prop::sample::select(vec![
        "CreateCertificateAuthority",
        "IssueCertificate",
        "ImportCertificateAuthorityCertificate",
        "TagCertificateAuthority",
        "PutPolicy",
    ]);
    let target = |operation: &str| format!("ACMPrivateCA.{operation}");
    runner(300)
        .run(
            &(
                operations,
                anything(),
                prop::collection::vec(any::<u8>(), 1..60),
            ),
            |(operation, value, bytes)| {
                let (code, _) = call(lab.address, operation, &value, None).unwrap_err();
                prop_assert!(code != "InternalFailure", "{} {}", operation, value);
                let header = target(operation);
                let (status, _) = http(
                    lab.address,
                    "POST",
                    "/",
                    &[("x-amz-target", &header)],
                    &bytes,
                );
                prop_assert_eq!(status, 400);
                let path = format!("/service/ACMPrivateCA/operation/{operation}");
                let (status, _) = http(
                    lab.address,
                    "POST",
                    &path,
                    &[("smithy-protocol", "rpc-v2-cbor")],
                    &bytes,
                );
                prop_assert_eq!(status, 400);
                Ok(())
            },
        )
        .unwrap();
    lab.root("still-alive", json!({}));
}

#[test]
fn any_passthrough_gives_a_certificate_or_a_client_error() {
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    let request = csr("fuzz", &["a.example.com"]);
    let templates = prop::sample::select(vec![
        "BlankEndEntityCertificate_APICSRPassthrough/V1",
        "EndEntityCertificate_APIPassthrough/V1",
        "BlankSubordinateCACertificate_PathLen1_APIPassthrough/V1",
    ]);
    let oid = "[0-2]\\.[0-3][0-9](\\.[0-9]{1,22}){0,5}";
    let names = (".{0,30}", "[0-9a-f.:]{0,20}", oid, ".{0,20}").prop_map(|(dns, ip, id, other)| {
        json!([
            { "DnsName": dns }, { "IpAddress": ip }, { "RegisteredId": id },
            { "OtherName": { "TypeId": id, "Value": other } }, { "DirectoryName": { "CommonName": other } },
        ])
    });
    let pick = (names, 0..5usize).prop_map(|(names, at)| json!([names[at]]));
    let custom = (oid, prop::collection::vec(any::<u8>(), 1..40), any::<bool>()).prop_map(|(id, value, critical)| {
        json!([{ "ObjectIdentifier": id, "Value": BASE64.encode(&value), "Critical": critical }])
    });
    runner(300)
        .run(&(templates, pick, custom, ".{0,64}"), |(template, names, custom, common)| {
            let more = json!({
                "TemplateArn": format!("arn:aws:acm-pca:::template/{template}"),
                "ApiPassthrough": {
                    "Subject": { "CommonName": common },
                    "Extensions": { "SubjectAlternativeNames": names, "CustomExtensions": custom },
                },
            });
            match lab.issue(&root, &request, more) {
                Ok(issued) => {
                    let answer = lab.certificate(&root, &issued).unwrap();
                    let text = answer["Certificate"].as_str().unwrap();
                    let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).unwrap();
                    prop_assert!(block.parse_x509().is_ok(), "{}", text);
                }
                Err((code, message)) => prop_assert!(code != "InternalFailure", "{}", message),
            }
            Ok(())
        })
        .unwrap();
}
