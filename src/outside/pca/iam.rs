/// The IAM actions (without their `acm-pca:`) that a host function of module `pca` may need. Empty
/// for a function that asks nothing of AWS Private CA.
///
/// From "Actions, resources, and condition keys for AWS Private Certificate Authority" (AWS
/// Service Authorization Reference).
pub fn actions_of(function: &str) -> &'static [&'static str] {
    match function {
        // A creation in doubt is settled by looking for the CA's tag.
        "pca::create_certificate_authority" => &[
            "CreateCertificateAuthority",
            "TagCertificateAuthority",
            "ListCertificateAuthorities",
            "ListTags",
        ],
        "pca::describe_certificate_authority"
        | "pca::wait_until_csr_ready"
        | "pca::wait_until_active" => &["DescribeCertificateAuthority"],
        "pca::list_certificate_authorities" => &["ListCertificateAuthorities"],
        "pca::certificate_authority_csr" => &["GetCertificateAuthorityCsr"],
        "pca::certificate_authority_certificate" => &["GetCertificateAuthorityCertificate"],
        "pca::disable_certificate_authority" | "pca::enable_certificate_authority" => {
            &["UpdateCertificateAuthority", "DescribeCertificateAuthority"]
        }
        "pca::delete_certificate_authority" => {
            &["DeleteCertificateAuthority", "DescribeCertificateAuthority"]
        }
        "pca::restore_certificate_authority" => &[
            "RestoreCertificateAuthority",
            "DescribeCertificateAuthority",
        ],
        "pca::list_tags" => &["ListTags"],
        "pca::tag_certificate_authority" => &["TagCertificateAuthority", "ListTags"],
        "pca::untag_certificate_authority" => &["UntagCertificateAuthority", "ListTags"],
        "pca::issue_certificate" => &["IssueCertificate"],
        "pca::get_certificate" | "pca::wait_until_issued" => &["GetCertificate"],
        "pca::import_certificate_authority_certificate" => &[
            "ImportCertificateAuthorityCertificate",
            "GetCertificateAuthorityCertificate",
        ],
        "pca::revoke_certificate" => &["RevokeCertificate"],
        "pca::create_audit_report" => &["CreateCertificateAuthorityAuditReport"],
        "pca::describe_audit_report" | "pca::wait_until_audit_report" => {
            &["DescribeCertificateAuthorityAuditReport"]
        }
        "pca::create_permission" => &["CreatePermission", "ListPermissions"],
        "pca::delete_permission" => &["DeletePermission", "ListPermissions"],
        "pca::list_permissions" => &["ListPermissions"],
        "pca::put_policy" => &["PutPolicy", "GetPolicy"],
        "pca::get_policy" => &["GetPolicy"],
        "pca::delete_policy" => &["DeletePolicy", "GetPolicy"],
        _ => &[],
    }
}

/// The IAM actions that an undo of a host function may need beyond its own.
pub fn undo_actions_of(function: &str) -> &'static [&'static str] {
    match function {
        "pca::create_certificate_authority" | "pca::restore_certificate_authority" => &[
            "DescribeCertificateAuthority",
            "UpdateCertificateAuthority",
            "DeleteCertificateAuthority",
        ],
        // What AWS refuses to revoke is looked at: it may never have been issued.
        "pca::issue_certificate" => &[
            "RevokeCertificate",
            "DescribeCertificateAuthority",
            "GetCertificate",
        ],
        // AWS takes back no certificate: a CA that had none is disabled.
        "pca::import_certificate_authority_certificate" => {
            &["DescribeCertificateAuthority", "UpdateCertificateAuthority"]
        }
        "pca::delete_certificate_authority" => &["RestoreCertificateAuthority"],
        "pca::tag_certificate_authority" | "pca::untag_certificate_authority" => &[
            "DescribeCertificateAuthority",
            "TagCertificateAuthority",
            "UntagCertificateAuthority",
        ],
        "pca::create_permission" | "pca::delete_permission" => &[
            "DescribeCertificateAuthority",
            "CreatePermission",
            "DeletePermission",
        ],
        "pca::put_policy" | "pca::delete_policy" => {
            &["DescribeCertificateAuthority", "PutPolicy", "DeletePolicy"]
        }
        _ => &[],
    }
}

/// Whether an action is about the account, not about one CA.
pub fn is_account_wide(action: &str) -> bool {
    matches!(
        action,
        "CreateCertificateAuthority" | "ListCertificateAuthorities"
    )
}

/// Every operation of AWS Private CA, from its service model.
pub(super) const OPERATIONS: [&str; 23] = [
    "CreateCertificateAuthority",
    "CreateCertificateAuthorityAuditReport",
    "CreatePermission",
    "DeleteCertificateAuthority",
    "DeletePermission",
    "DeletePolicy",
    "DescribeCertificateAuthority",
    "DescribeCertificateAuthorityAuditReport",
    "GetCertificate",
    "GetCertificateAuthorityCertificate",
    "GetCertificateAuthorityCsr",
    "GetPolicy",
    "ImportCertificateAuthorityCertificate",
    "IssueCertificate",
    "ListCertificateAuthorities",
    "ListPermissions",
    "ListTags",
    "PutPolicy",
    "RestoreCertificateAuthority",
    "RevokeCertificate",
    "TagCertificateAuthority",
    "UntagCertificateAuthority",
    "UpdateCertificateAuthority",
];
