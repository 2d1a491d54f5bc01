//! Operations on existing CAs: status, deletion, tags, audit, permissions, policy.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_acmpca::types::{AuditReportResponseFormat, CertificateAuthorityStatus, Tag};
use windlass_ground::boxed;

use super::client::{Authority, PcaClient, authority_of, required, unbuildable};
use crate::value::Failure;

/// A report of what a CA issued and revoked, in an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    pub bucket: String,
    pub key: String,
    /// `CREATING`, `SUCCESS`, `FAILED`.
    pub status: String,
}

/// Who else may use a CA, in the terms of `CreatePermission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    pub principal: String,
    pub source_account: Option<String>,
    pub actions: Vec<String>,
}

impl Permission {
    /// Says whether it is the permission of a principal on a CA; without a `source_account`, the CA's account is meant.
    pub fn is_of(&self, ca: &str, principal: &str, source_account: Option<&str>) -> bool {
        let own = ca.split(':').nth(4);
        let of = |account: Option<&str>| account.or(own).map(str::to_owned);
        self.principal == principal && of(self.source_account.as_deref()) == of(source_account)
    }
}

impl PcaClient {
    /// Lists every CA of the account and region, on all pages.
    #[boxed]
    pub async fn list(&self) -> Result<Vec<Authority>, Failure> {
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = self
                .call(
                    "ListCertificateAuthorities",
                    "*",
                    self.sdk()
                        .await?
                        .list_certificate_authorities()
                        .set_next_token(next)
                        .send(),
                )
                .await?;
            found.extend(page.certificate_authorities().iter().map(authority_of));
            match page.next_token {
                Some(token) => next = Some(token),
                None => return Ok(found),
            }
        }
    }

    /// Sets a CA ACTIVE or DISABLED.
    #[boxed]
    pub async fn set_enabled(&self, arn: &str, is_enabled: bool) -> Result<(), Failure> {
        let status = if is_enabled {
            CertificateAuthorityStatus::Active
        } else {
            CertificateAuthorityStatus::Disabled
        };
        self.call(
            "UpdateCertificateAuthority",
            arn,
            self.sdk()
                .await?
                .update_certificate_authority()
                .certificate_authority_arn(arn)
                .status(status)
                .send(),
        )
        .await
        .map(|_| ())
    }

    /// Deletes a CA; it can be restored within `days` (7 to 30).
    #[boxed]
    pub async fn delete(&self, arn: &str, days: i32) -> Result<(), Failure> {
        self.call(
            "DeleteCertificateAuthority",
            arn,
            self.sdk()
                .await?
                .delete_certificate_authority()
                .certificate_authority_arn(arn)
                .permanent_deletion_time_in_days(days)
                .send(),
        )
        .await
        .map(|_| ())
    }

    /// Restores a deleted CA to the status that it had.
    #[boxed]
    pub async fn restore(&self, arn: &str) -> Result<(), Failure> {
        self.call(
            "RestoreCertificateAuthority",
            arn,
            self.sdk()
                .await?
                .restore_certificate_authority()
                .certificate_authority_arn(arn)
                .send(),
        )
        .await
        .map(|_| ())
    }

    /// Revokes a certificate by its serial, hex with or without colons. It is not an error if the certificate is already
    /// revoked.
    #[boxed]
    pub async fn revoke(&self, authority: &str, serial: &str, reason: &str) -> Result<(), Failure> {
        let answer = self
            .call(
                "RevokeCertificate",
                authority,
                self.sdk()
                    .await?
                    .revoke_certificate()
                    .certificate_authority_arn(authority)
                    .certificate_serial(serial)
                    .revocation_reason(reason.into())
                    .send(),
            )
            .await;
        match answer {
            Err(failure) if failure.code != "RequestAlreadyProcessedException" => Err(failure),
            _ => Ok(()),
        }
    }

    #[boxed]
    pub async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Failure> {
        let (mut tags, mut next) = (BTreeMap::new(), None);
        loop {
            let page = self
                .call(
                    "ListTags",
                    arn,
                    self.sdk()
                        .await?
                        .list_tags()
                        .certificate_authority_arn(arn)
                        .set_next_token(next)
                        .send(),
                )
                .await?;
            let pairs = page.tags().iter();
            tags.extend(
                pairs.map(|t| (t.key().to_owned(), t.value().unwrap_or_default().to_owned())),
            );
            match page.next_token {
                Some(token) => next = Some(token),
                None => return Ok(tags),
            }
        }
    }

    #[boxed]
    pub async fn tag(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), Failure> {
        const OPERATION: &str = "TagCertificateAuthority";
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        let tags: Result<Vec<_>, _> = tags.iter().map(tag).collect();
        self.call(
            OPERATION,
            arn,
            self.sdk()
                .await?
                .tag_certificate_authority()
                .certificate_authority_arn(arn)
                .set_tags(Some(tags.map_err(|e| unbuildable(OPERATION, &e))?))
                .send(),
        )
        .await
        .map(|_| ())
    }

    /// Removes tags by their keys, whatever their values.
    #[boxed]
    pub async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), Failure> {
        const OPERATION: &str = "UntagCertificateAuthority";
        let tags: Result<Vec<_>, _> = keys
            .iter()
            .map(|key| Tag::builder().key(key).build())
            .collect();
        self.call(
            OPERATION,
            arn,
            self.sdk()
                .await?
                .untag_certificate_authority()
                .certificate_authority_arn(arn)
                .set_tags(Some(tags.map_err(|e| unbuildable(OPERATION, &e))?))
                .send(),
        )
        .await
        .map(|_| ())
    }

    /// Requests an audit report in a bucket; returns the report's id.
    #[boxed]
    pub async fn create_audit_report(
        &self,
        arn: &str,
        bucket: &str,
        format: &str,
    ) -> Result<String, Failure> {
        const OPERATION: &str = "CreateCertificateAuthorityAuditReport";
        let answer = self
            .call(
                OPERATION,
                arn,
                self.sdk()
                    .await?
                    .create_certificate_authority_audit_report()
                    .certificate_authority_arn(arn)
                    .s3_bucket_name(bucket)
                    .audit_report_response_format(AuditReportResponseFormat::from(format))
                    .send(),
            )
            .await?;
        required(OPERATION, answer.audit_report_id)
    }

    #[boxed]
    pub async fn audit_report(&self, arn: &str, id: &str) -> Result<AuditReport, Failure> {
        let answer = self
            .call(
                "DescribeCertificateAuthorityAuditReport",
                arn,
                self.sdk()
                    .await?
                    .describe_certificate_authority_audit_report()
                    .certificate_authority_arn(arn)
                    .audit_report_id(id)
                    .send(),
            )
            .await?;
        Ok(AuditReport {
            bucket: answer.s3_bucket_name.unwrap_or_default(),
            key: answer.s3_key.unwrap_or_default(),
            status: answer
                .audit_report_status
                .map_or("UNKNOWN".into(), |s| s.as_str().into()),
        })
    }

    /// Allows a service (`acm.amazonaws.com`) to use the CA. It is not an error if it is already allowed.
    #[boxed]
    pub async fn create_permission(
        &self,
        arn: &str,
        permission: &Permission,
    ) -> Result<(), Failure> {
        let actions = permission
            .actions
            .iter()
            .map(|action| action.as_str().into())
            .collect();
        let answer = self
            .call(
                "CreatePermission",
                arn,
                self.sdk()
                    .await?
                    .create_permission()
                    .certificate_authority_arn(arn)
                    .principal(&permission.principal)
                    .set_source_account(permission.source_account.clone())
                    .set_actions(Some(actions))
                    .send(),
            )
            .await;
        match answer {
            Err(failure) if failure.code == "PermissionAlreadyExistsException" => {
                self.check_permission(arn, permission, failure).await
            }
            other => other.map(|_| ()),
        }
    }

    /// AWS does not change an existing permission: the call has only succeeded if the permission grants the same.
    async fn check_permission(
        &self,
        arn: &str,
        wanted: &Permission,
        failure: Failure,
    ) -> Result<(), Failure> {
        let sorted = |actions: &[String]| actions.iter().cloned().collect::<BTreeSet<_>>();
        let found =
            self.permissions(arn).await?.into_iter().find(|found| {
                found.is_of(arn, &wanted.principal, wanted.source_account.as_deref())
            });
        match found {
            Some(found) if sorted(&found.actions) == sorted(&wanted.actions) => Ok(()),
            Some(found) => Err(failure.with_hint(format!(
                "{} has another permission ({}): delete it first with `pca::delete_permission`",
                found.principal,
                found.actions.join(", ")
            ))),
            None => Err(failure),
        }
    }

    /// A permission or policy that does not exist counts as deleted, if its CA exists.
    async fn deleted(&self, arn: &str, answer: Result<(), Failure>) -> Result<(), Failure> {
        match answer {
            Err(failure) if failure.code == "ResourceNotFoundException" => {
                self.describe(arn).await.map(|_| ())
            }
            other => other,
        }
    }

    #[boxed]
    pub async fn delete_permission(
        &self,
        arn: &str,
        principal: &str,
        source_account: Option<String>,
    ) -> Result<(), Failure> {
        let request = self
            .sdk()
            .await?
            .delete_permission()
            .certificate_authority_arn(arn)
            .principal(principal)
            .set_source_account(source_account)
            .send();
        let answer = self.call("DeletePermission", arn, request).await;
        self.deleted(arn, answer.map(|_| ())).await
    }

    #[boxed]
    pub async fn permissions(&self, arn: &str) -> Result<Vec<Permission>, Failure> {
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = self
                .call(
                    "ListPermissions",
                    arn,
                    self.sdk()
                        .await?
                        .list_permissions()
                        .certificate_authority_arn(arn)
                        .set_next_token(next)
                        .send(),
                )
                .await?;
            found.extend(page.permissions().iter().map(|p| {
                Permission {
                    principal: p.principal().unwrap_or_default().into(),
                    source_account: p.source_account().map(Into::into),
                    actions: p
                        .actions()
                        .iter()
                        .map(|action| action.as_str().into())
                        .collect(),
                }
            }));
            match page.next_token {
                Some(token) => next = Some(token),
                None => return Ok(found),
            }
        }
    }

    /// Sets the CA's resource policy, JSON.
    #[boxed]
    pub async fn put_policy(&self, arn: &str, policy: &str) -> Result<(), Failure> {
        self.call(
            "PutPolicy",
            arn,
            self.sdk()
                .await?
                .put_policy()
                .resource_arn(arn)
                .policy(policy)
                .send(),
        )
        .await
        .map(|_| ())
    }

    #[boxed]
    pub async fn policy(&self, arn: &str) -> Result<Option<String>, Failure> {
        let request = self.sdk().await?.get_policy().resource_arn(arn).send();
        Ok(self.call("GetPolicy", arn, request).await?.policy)
    }

    #[boxed]
    pub async fn delete_policy(&self, arn: &str) -> Result<(), Failure> {
        let request = self.sdk().await?.delete_policy().resource_arn(arn).send();
        let answer = self.call("DeletePolicy", arn, request).await;
        self.deleted(arn, answer.map(|_| ())).await
    }
}
