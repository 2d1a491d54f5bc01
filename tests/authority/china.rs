//! China: SM2, and its own key storage security standard.

use serde_json::{Value, json};

use crate::authority::lab::{Lab, Refusal, csr, has_openssl};

const ACCOUNT: &str = "123456789012";

fn create(
    lab: &Lab,
    region: &str,
    key: &str,
    signing: &str,
    standard: Option<&str>,
) -> Result<Value, Refusal> {
    let input = json!({
        "CertificateAuthorityType": "ROOT",
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": key, "SigningAlgorithm": signing, "Subject": { "CommonName": "x" },
        },
        "KeyStorageSecurityStandard": standard,
    });
    lab.call_as(ACCOUNT, region, "CreateCertificateAuthority", input)
}

#[test]
fn sm2_is_refused_in_every_field() {
    let lab = Lab::new();
    let china = Some("CCPC_LEVEL_1_OR_HIGHER");
    for (region, standard, why) in [
        ("us-east-1", None, "in this region"),
        ("us-gov-west-1", None, "in this region"),
        ("cn-north-1", china, "by this server"),
        ("cn-northwest-1", china, "by this server"),
    ] {
        for signing in ["SM3WITHSM2", "SHA256WITHECDSA"] {
            let (code, message) = create(&lab, region, "SM2", signing, standard).unwrap_err();
            assert_eq!(code, "InvalidArgsException");
            assert!(
                message.contains("SM2 is not supported") && message.contains(why),
                "{message}"
            );
        }
        for (key, family) in [
            ("RSA_2048", "SHA256WITHRSA"),
            ("EC_prime256v1", "SHA256WITHECDSA"),
            ("ML_DSA_44", "ML_DSA_44"),
        ] {
            let (code, message) = create(&lab, region, key, "SM3WITHSM2", standard).unwrap_err();
            assert_eq!(code, "InvalidArgsException");
            let words = format!(
                "Signing algorithm SM3WITHSM2 cannot be used with key type {key}. Valid signing algorithms are: {family}"
            );
            assert!(message.starts_with(&words), "{message}");
        }
    }
    let root = lab.root("root", json!({}));
    let (code, message) = lab
        .issue(
            &root,
            &csr("x", &[]),
            json!({ "SigningAlgorithm": "SM3WITHSM2" }),
        )
        .unwrap_err();
    assert_eq!(code, "InvalidArgsException");
    assert!(
        message.starts_with("Signing algorithm SM3WITHSM2 cannot be used"),
        "{message}"
    );
}

#[test]
fn a_csr_with_an_sm2_key_is_malformed() {
    if !has_openssl() {
        return;
    }
    let lab = Lab::new();
    let root = lab.root("root", json!({}));
    for line in [
        "genpkey -algorithm SM2 -out sm2.key",
        "req -new -key sm2.key -sm3 -subj /CN=sm2 -out sm2.csr",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (succeeded, printed) = lab.openssl(&arguments);
        assert!(succeeded, "{printed}");
    }
    let request = std::fs::read_to_string(lab.folder.path().join("sm2.csr")).unwrap();
    let (code, message) = lab.issue(&root, &request, json!({})).unwrap_err();
    assert_eq!(code, "MalformedCSRException");
    assert!(
        message.contains("public key is not of a supported algorithm"),
        "{message}"
    );
}

#[test]
fn regions_in_china_have_their_own_standard_and_arns() {
    let lab = Lab::new();
    let standard = "A certificate authority cannot be created in this region with the specified security standard.";
    for (region, asked) in [
        ("cn-north-1", None),
        ("cn-north-1", Some("FIPS_140_2_LEVEL_3_OR_HIGHER")),
        ("us-east-1", Some("CCPC_LEVEL_1_OR_HIGHER")),
    ] {
        let refused = create(&lab, region, "EC_prime256v1", "SHA256WITHECDSA", asked).unwrap_err();
        assert_eq!(
            refused,
            ("InvalidArgsException".to_owned(), standard.to_owned())
        );
    }
    let made = create(
        &lab,
        "cn-north-1",
        "EC_prime256v1",
        "SHA256WITHECDSA",
        Some("CCPC_LEVEL_1_OR_HIGHER"),
    )
    .unwrap();
    let arn = made["CertificateAuthorityArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws-cn:acm-pca:cn-north-1:"), "{arn}");
    for (region, partition) in [
        ("eusc-de-east-1", "aws-eusc"),
        ("us-gov-west-1", "aws-us-gov"),
    ] {
        let made = create(&lab, region, "EC_prime256v1", "SHA256WITHECDSA", None).unwrap();
        let arn = made["CertificateAuthorityArn"].as_str().unwrap();
        assert!(
            arn.starts_with(&format!("arn:{partition}:acm-pca:{region}:")),
            "{arn}"
        );
    }
}
