use std::sync::Arc;

use aws_sdk_acmpca::{
    Client,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::RequestId,
    primitives::{Blob, DateTimeFormat},
    types::{CertificateAuthority, Tag, Validity as SdkValidity},
};
use tokio::sync::OnceCell;
use windlass_ground::boxed;

use super::{
    account::{Account, Identity},
    attempts::{Attempts, watched},
    connect::PcaTarget,
    failure::classify,
    rate::Rates,
    request::{Issue, NewAuthority},
    revocation::Revocation,
};
use crate::value::{Failure, FailureClass};

/// The tag that carries an effect's key on the CA that it created, so that the CA can be found again after a crash inside the
/// call.
pub const EFFECT_TAG: &str = "windlass:effect";

/// A client of AWS Private CA; each call is one request.
#[derive(Clone, Debug)]
pub struct PcaClient {
    /// The target to which the first call connects, if nothing has before.
    target: Arc<PcaTarget>,
    connected: Arc<OnceCell<Connected>>,
}

/// What calls need.
#[derive(Debug)]
pub(super) struct Connected {
    sdk: Client,
    rates: Rates,
    /// `None` on the embedded server, which has no accounts.
    account: Option<Account>,
}

impl Connected {
    pub fn new(sdk: Client, rates: Rates, account: Option<Account>) -> Self {
        let config = sdk.config().to_builder().interceptor(Attempts).build();
        Self {
            sdk: Client::from_conf(config),
            rates,
            account,
        }
    }
}

/// A certificate and the chain above it, PEM; the issuer is first in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCertificate {
    pub certificate: String,
    /// `None` for a self-signed root.
    pub chain: Option<String>,
}

/// The fields of `DescribeCertificateAuthority` that scripts use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    pub arn: String,
    /// `CREATING`, `PENDING_CERTIFICATE`, `ACTIVE`, …
    pub status: String,
    /// `ROOT` or `SUBORDINATE`.
    pub kind: String,
    pub serial: Option<String>,
    /// RFC 3339.
    pub not_after: Option<String>,
    pub failure_reason: Option<String>,
    pub usage_mode: Option<String>,
    pub key_storage_security_standard: Option<String>,
    pub revocation: Revocation,
}

impl PcaClient {
    pub(super) fn new(connected: Connected) -> Self {
        Self {
            target: Arc::default(),
            connected: Arc::new(OnceCell::new_with(Some(connected))),
        }
    }

    /// Creates a client that connects when it is called first. Until then, nothing asks for a region or for credentials: the metadata service of
    /// EC2 takes seconds where it does not answer.
    pub fn when_called(target: &PcaTarget) -> Self {
        Self {
            target: Arc::new(target.clone()),
            connected: Arc::default(),
        }
    }

    async fn connected(&self) -> Result<&Connected, Failure> {
        let connecting = self
            .connected
            .get_or_try_init(|| Connected::to(&self.target));
        connecting.await.map_err(|error| {
            let hint = error.hint();
            let failure = Failure::new(
                FailureClass::Rejected,
                "connect to AWS Private CA",
                "NotConnected",
                error.to_string(),
            );
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        })
    }

    pub(super) async fn sdk(&self) -> Result<&Client, Failure> {
        Ok(&self.connected().await?.sdk)
    }

    /// Returns the identity of the credentials; STS is asked once. `None` on the embedded server, and without a connection.
    pub async fn identity(&self) -> Option<&Identity> {
        match &self.connected().await.ok()?.account {
            Some(account) => Some(account.identity().await),
            None => None,
        }
    }

    /// Returns the region of the calls; `None` if nothing names one, on the embedded server, and before the first call.
    pub fn region(&self) -> Option<&str> {
        self.connected.get()?.account.as_ref()?.region.as_deref()
    }

    /// Sends a request, not sooner than the rate of its operation allows.
    pub(super) async fn call<T, E, R>(
        &self,
        operation: &'static str,
        resource: &str,
        request: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        self.connected().await?.rates.turn(operation).await;
        let (answer, is_in_doubt) = watched(request).await;
        answer.map_err(|e| classify(operation, resource, e, is_in_doubt))
    }

    /// Creates a CA with an idempotency token and a `windlass:effect` tag of the same value. Returns its
    /// ARN.
    #[boxed]
    pub async fn create(&self, new: &NewAuthority, key: &str) -> Result<String, Failure> {
        const OPERATION: &str = "CreateCertificateAuthority";
        let mut tags = new.tags().map_err(|e| unbuildable(OPERATION, &e))?;
        let revocation = new.revocation.as_ref();
        let revocation = revocation.filter(|revocation| **revocation != Revocation::default());
        let revocation = revocation.map(Revocation::to_sdk);
        let revocation = revocation.transpose();
        let revocation = revocation.map_err(|e| unbuildable(OPERATION, &e))?;
        tags.extend(Tag::builder().key(EFFECT_TAG).value(key).build());
        let answer = self
            .call(
                OPERATION,
                "*",
                self.sdk()
                    .await?
                    .create_certificate_authority()
                    .certificate_authority_configuration(
                        new.configuration()
                            .map_err(|e| unbuildable(OPERATION, &e))?,
                    )
                    .certificate_authority_type(new.kind())
                    .set_usage_mode(new.usage_mode.as_deref().map(Into::into))
                    .set_key_storage_security_standard(
                        new.key_storage_security_standard.as_deref().map(Into::into),
                    )
                    .set_revocation_configuration(revocation)
                    .idempotency_token(key)
                    .set_tags(Some(tags))
                    .send(),
            )
            .await?;
        required(OPERATION, answer.certificate_authority_arn)
    }

    /// Finds the CA with this key in its `windlass:effect` tag, on any page.
    #[boxed]
    pub async fn find_by_key(&self, key: &str) -> Result<Option<String>, Failure> {
        for authority in self.list().await? {
            let is_gone = authority.status == "DELETED";
            let found = !is_gone
                && self
                    .tags(&authority.arn)
                    .await?
                    .get(EFFECT_TAG)
                    .is_some_and(|tag| tag == key);
            if found {
                return Ok(Some(authority.arn));
            }
        }
        Ok(None)
    }

    #[boxed]
    pub async fn describe(&self, arn: &str) -> Result<Authority, Failure> {
        const OPERATION: &str = "DescribeCertificateAuthority";
        let answer = self
            .call(
                OPERATION,
                arn,
                self.sdk()
                    .await?
                    .describe_certificate_authority()
                    .certificate_authority_arn(arn)
                    .send(),
            )
            .await?;
        let found = required(OPERATION, answer.certificate_authority)?;
        Ok(authority_of(&found))
    }

    /// Returns the CSR of a CA, PEM.
    #[boxed]
    pub async fn csr(&self, arn: &str) -> Result<String, Failure> {
        const OPERATION: &str = "GetCertificateAuthorityCsr";
        let answer = self
            .call(
                OPERATION,
                arn,
                self.sdk()
                    .await?
                    .get_certificate_authority_csr()
                    .certificate_authority_arn(arn)
                    .send(),
            )
            .await?;
        required(OPERATION, answer.csr)
    }

    /// Requests a certificate, which is ready later. Returns its ARN.
    #[boxed]
    pub async fn issue(&self, issue: &Issue, key: &str) -> Result<String, Failure> {
        const OPERATION: &str = "IssueCertificate";
        let validity = SdkValidity::builder()
            .r#type(issue.validity.unit())
            .value(issue.validity.value)
            .build()
            .map_err(|e| unbuildable(OPERATION, &e))?;
        let passthrough = issue
            .passthrough
            .to_sdk()
            .map_err(|e| unbuildable(OPERATION, &e))?;
        let answer = self
            .call(
                OPERATION,
                &issue.authority,
                self.sdk()
                    .await?
                    .issue_certificate()
                    .certificate_authority_arn(&issue.authority)
                    .csr(Blob::new(issue.csr.as_bytes()))
                    .signing_algorithm(issue.signing_algorithm.as_str().into())
                    .set_template_arn(issue.template_arn())
                    .validity(validity)
                    .set_api_passthrough(passthrough)
                    .idempotency_token(key)
                    .send(),
            )
            .await?;
        required(OPERATION, answer.certificate_arn)
    }

    /// Fetches an issued certificate; [`FailureClass::Conflict`] while it is not ready.
    #[boxed]
    pub async fn certificate(
        &self,
        authority: &str,
        certificate: &str,
    ) -> Result<SignedCertificate, Failure> {
        const OPERATION: &str = "GetCertificate";
        let answer = self
            .call(
                OPERATION,
                authority,
                self.sdk()
                    .await?
                    .get_certificate()
                    .certificate_authority_arn(authority)
                    .certificate_arn(certificate)
                    .send(),
            )
            .await?;
        Ok(SignedCertificate {
            certificate: required(OPERATION, answer.certificate)?,
            chain: answer.certificate_chain,
        })
    }

    /// Fetches the CA's own certificate.
    #[boxed]
    pub async fn authority_certificate(&self, arn: &str) -> Result<SignedCertificate, Failure> {
        const OPERATION: &str = "GetCertificateAuthorityCertificate";
        let answer = self
            .call(
                OPERATION,
                arn,
                self.sdk()
                    .await?
                    .get_certificate_authority_certificate()
                    .certificate_authority_arn(arn)
                    .send(),
            )
            .await?;
        Ok(SignedCertificate {
            certificate: required(OPERATION, answer.certificate)?,
            chain: answer.certificate_chain,
        })
    }

    /// Imports the CA's certificate, which makes the CA ACTIVE.
    #[boxed]
    pub async fn import(&self, arn: &str, signed: &SignedCertificate) -> Result<(), Failure> {
        self.call(
            "ImportCertificateAuthorityCertificate",
            arn,
            self.sdk()
                .await?
                .import_certificate_authority_certificate()
                .certificate_authority_arn(arn)
                .certificate(Blob::new(signed.certificate.as_bytes()))
                .set_certificate_chain(
                    signed
                        .chain
                        .as_ref()
                        .map(|chain| Blob::new(chain.as_bytes())),
                )
                .send(),
        )
        .await?;
        Ok(())
    }
}

/// Reads the fields of the SDK's description of a CA that scripts use.
pub(super) fn authority_of(found: &CertificateAuthority) -> Authority {
    let not_after = found
        .not_after()
        .and_then(|at| at.fmt(DateTimeFormat::DateTime).ok());
    Authority {
        arn: found.arn().unwrap_or_default().into(),
        status: found.status().map_or("UNKNOWN", |s| s.as_str()).into(),
        kind: found.r#type().map_or("UNKNOWN", |t| t.as_str()).into(),
        failure_reason: found.failure_reason().map(|r| r.as_str().into()),
        serial: found.serial().map(Into::into),
        not_after,
        usage_mode: found.usage_mode().map(|mode| mode.as_str().into()),
        key_storage_security_standard: found
            .key_storage_security_standard()
            .map(|standard| standard.as_str().into()),
        revocation: Revocation::of_sdk(found.revocation_configuration()),
    }
}

pub(super) fn unbuildable(operation: &str, error: &BuildError) -> Failure {
    Failure::new(
        FailureClass::Rejected,
        operation,
        "BadRequest",
        error.to_string(),
    )
}

pub(super) fn required<T>(operation: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| {
        Failure::new(
            FailureClass::Unavailable,
            operation,
            "BadResponse",
            "the answer lacks what was asked for",
        )
        .or_done()
    })
}
