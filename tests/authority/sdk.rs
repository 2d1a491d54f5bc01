//! The Rust SDK, as the client of a workflow uses it.

use aws_sdk_acmpca::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_acmpca::error::ProvideErrorMetadata;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{
    Asn1Subject, CertificateAuthorityConfiguration, CertificateAuthorityStatus,
    CertificateAuthorityType, KeyAlgorithm, SigningAlgorithm, Validity, ValidityPeriodType,
};
use windlass::authority::{Options, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_activated_and_errors_have_their_types() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Options::local(folder.path().to_owned()))
        .await
        .unwrap();
    let config = aws_sdk_acmpca::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(server.endpoint())
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .build();
    let client = aws_sdk_acmpca::Client::from_conf(config);

    let subject = Asn1Subject::builder().common_name("root").build();
    let configuration = CertificateAuthorityConfiguration::builder()
        .key_algorithm(KeyAlgorithm::EcPrime256v1)
        .signing_algorithm(SigningAlgorithm::Sha256Withecdsa)
        .subject(subject)
        .build()
        .unwrap();
    let created = client
        .create_certificate_authority()
        .certificate_authority_configuration(configuration)
        .certificate_authority_type(CertificateAuthorityType::Root)
        .send()
        .await
        .unwrap();
    let arn = created.certificate_authority_arn().unwrap();
    assert!(arn.starts_with("arn:aws:acm-pca:eu-central-1:"), "{arn}");

    let early = client
        .delete_certificate_authority()
        .certificate_authority_arn(arn.replace("eu-central-1", "eu-west-1"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(early.code(), Some("ResourceNotFoundException"));
    assert!(early.message().unwrap().contains("Could not find"));

    let csr = client
        .get_certificate_authority_csr()
        .certificate_authority_arn(arn)
        .send()
        .await
        .unwrap();
    let validity = Validity::builder()
        .r#type(ValidityPeriodType::Years)
        .value(10)
        .build()
        .unwrap();
    let issued = client
        .issue_certificate()
        .certificate_authority_arn(arn)
        .csr(Blob::new(csr.csr().unwrap()))
        .signing_algorithm(SigningAlgorithm::Sha256Withecdsa)
        .template_arn("arn:aws:acm-pca:::template/RootCACertificate/V1")
        .validity(validity)
        .send()
        .await
        .unwrap();
    let certificate = client
        .get_certificate()
        .certificate_authority_arn(arn)
        .certificate_arn(issued.certificate_arn().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(certificate.certificate_chain(), None);
    client
        .import_certificate_authority_certificate()
        .certificate_authority_arn(arn)
        .certificate(Blob::new(certificate.certificate().unwrap()))
        .send()
        .await
        .unwrap();
    let described = client
        .describe_certificate_authority()
        .certificate_authority_arn(arn)
        .send()
        .await
        .unwrap();
    let authority = described.certificate_authority().unwrap();
    assert_eq!(
        authority.status(),
        Some(&CertificateAuthorityStatus::Active)
    );
    assert!(authority.not_after().unwrap() > authority.created_at().unwrap());
    server.stop().await;
}
