/// Says whether an action is for the account, not for a single CA.
pub fn is_account_wide(action: &str) -> bool {
    matches!(
        action,
        "CreateCertificateAuthority" | "ListCertificateAuthorities"
    )
}

/// All operations of AWS Private CA, from its service model; an IAM action of the same name allows each.
pub const OPERATIONS: [&str; 23] = [
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
