//! The functions of `pca`.
//!
//! The actions are those of "Actions, resources, and condition keys for AWS Private Certificate Authority" (AWS Service
//! Authorization Reference), with the reads that an undo needs before the call.

use super::{access, authority, certificate, undo, wait};
use crate::host::function::{
    Changing, Doubt, Function, Gives,
    Impact::{Changes, Reads},
    Needs, Parameter, Reversible,
    ValueKind::{
        self, Any, Authority, Bool, Duration, Either, Int, List, Map, Maybe, Record, Subject, Tags,
        Template, Text, Word,
    },
    optional, preset, required,
};

const ARN: Parameter = required("arn", Authority, "the ARN of the CA");
const CA: Parameter = required("ca", Authority, "the ARN of the CA");
const CERTIFICATE: Parameter = required("arn", Text, "the ARN of the certificate");
const REPORT_ID: Parameter = required(
    "id",
    Text,
    "the id that `pca::create_audit_report` returned",
);

const CRL: &[Parameter] = &[
    required("bucket", Text, "the S3 bucket of the lists"),
    required(
        "expiration_in_days",
        ValueKind::Between(1, 5000),
        "for how long each list is valid, 1 to 5000",
    ),
    optional(
        "custom_cname",
        Text,
        "the host name in the certificates, instead of the bucket's",
    ),
    optional("custom_path", Text, "the folder in the bucket"),
    optional(
        "acl",
        Text,
        "`BUCKET_OWNER_FULL_CONTROL`; or `PUBLIC_READ`, which is AWS's default, and fails where S3 blocks public access",
    ),
    optional("type", Text, "`COMPLETE` or `PARTITIONED`"),
    preset(
        "omit_extension",
        Bool,
        "false",
        "whether certificates do not say where the list is; not together with `custom_cname`",
    ),
];
const OCSP: &[Parameter] = &[optional(
    "custom_cname",
    Text,
    "the host name in the certificates, instead of AWS's",
)];
const REVOCATION: &[Parameter] = &[
    optional("crl", Record(CRL), "lists of what is revoked"),
    optional(
        "ocsp",
        Record(OCSP),
        "a responder; `#{}` for one with AWS's name",
    ),
];

const STATE: &[Parameter] = &[
    required("arn", Text, ""),
    required(
        "status",
        Text,
        "`ACTIVE`, `DISABLED`, `PENDING_CERTIFICATE`, …",
    ),
    required("type", Text, "`ROOT` or `SUBORDINATE`"),
    optional("serial", Text, "of its certificate, in hex"),
    optional("not_after", Text, "when its certificate expires, RFC 3339"),
    optional("failure_reason", Text, ""),
    optional(
        "usage_mode",
        Text,
        "`GENERAL_PURPOSE` or `SHORT_LIVED_CERTIFICATE`",
    ),
    optional("key_storage_security_standard", Text, ""),
    required(
        "revocation",
        Record(REVOCATION),
        "how it publishes what it revokes",
    ),
];
const SIGNED: &[Parameter] = &[
    required("certificate", Text, "PEM"),
    optional("chain", Text, "the chain above it, PEM; a root has none"),
];
const REPORT: &[Parameter] = &[
    required("bucket", Text, ""),
    required("key", Text, "the object in the bucket"),
    required("status", Text, "`CREATING`, `SUCCESS` or `FAILED`"),
];
const PERMISSION: &[Parameter] = &[
    required("principal", Text, ""),
    optional("source_account", Text, ""),
    required("actions", List(&Text), ""),
];

const VALIDITY: &[Parameter] = &[
    required(
        "type",
        Text,
        "`DAYS`, `MONTHS`, `YEARS`, `ABSOLUTE` or `END_DATE`",
    ),
    required("value", Int, ""),
];
const EXTENSION: &[Parameter] = &[
    required("oid", Text, "its object identifier"),
    required("value", Text, "base64 of the DER"),
    preset("critical", Bool, "false", ""),
];
const PASSTHROUGH: &[Parameter] = &[
    optional("subject", Subject, "instead of the request's"),
    optional("dns_names", List(&Text), ""),
    optional("ip_addresses", List(&Text), ""),
    optional("uris", List(&Text), ""),
    optional("email_addresses", List(&Text), ""),
    optional(
        "key_usage",
        List(&Text),
        "`digitalSignature`, `keyEncipherment`, …",
    ),
    optional(
        "extended_key_usage",
        List(&Text),
        "AWS's names, or object identifiers",
    ),
    optional("certificate_policies", List(&Text), "object identifiers"),
    optional("custom_extensions", List(&Record(EXTENSION)), ""),
];

const CREATE: &[Parameter] = &[
    required("type", Word(&["ROOT", "SUBORDINATE"]), "what the CA is"),
    optional(
        "subject",
        Subject,
        "its name, by attributes such as `common_name` and `organization`",
    ),
    preset(
        "key_algorithm",
        Text,
        "\"RSA_2048\"",
        "`RSA_2048`, `EC_prime256v1`, …",
    ),
    optional(
        "signing_algorithm",
        Text,
        "by default one that fits the key",
    ),
    optional(
        "usage_mode",
        Text,
        "`GENERAL_PURPOSE`, or `SHORT_LIVED_CERTIFICATE` for a CA whose certificates live for at most 7 days",
    ),
    optional(
        "key_storage_security_standard",
        Text,
        "by default `FIPS_140_2_LEVEL_3_OR_HIGHER`; regions that do not have it need `CCPC_LEVEL_1_OR_HIGHER`",
    ),
    optional(
        "revocation",
        Record(REVOCATION),
        "how it publishes what it revokes; by default not at all",
    ),
    optional("tags", Tags, "tags of the CA"),
];
const ISSUE: &[Parameter] = &[
    required("csr", Text, "the request, PEM"),
    optional(
        "template",
        Template,
        "the certificate template, such as `EndEntityClientAuthCertificate/V1`, or its ARN; by default `EndEntityCertificate/V1`",
    ),
    required(
        "validity",
        Either(&[Duration, Record(VALIDITY)]),
        "whole days such as `365d`, or AWS's own form, such as `#{ type: \"MONTHS\", value: 12 }`",
    ),
    preset(
        "signing_algorithm",
        Text,
        "\"SHA256WITHRSA\"",
        "it must fit the CA's key",
    ),
    optional(
        "api_passthrough",
        Record(PASSTHROUGH),
        "for the templates that take it",
    ),
];
const IMPORT: &[Parameter] = &[
    required("certificate", Text, "PEM"),
    optional(
        "chain",
        Text,
        "the chain above it, PEM; required for a subordinate CA",
    ),
];
const REVOKE: &[Parameter] = &[
    required(
        "serial",
        Text,
        "of the certificate, in hex, with or without colons",
    ),
    preset(
        "reason",
        Text,
        "\"UNSPECIFIED\"",
        "`SUPERSEDED`, `KEY_COMPROMISE`, …",
    ),
];
/// AWS's default, which is also the maximum.
const DELETE: &[Parameter] = &[preset(
    "restore_within_days",
    ValueKind::Between(7, 30),
    "30",
    "for how many days the CA can be restored, 7 to 30",
)];
const AUDIT_REPORT: &[Parameter] = &[
    required("bucket", Text, "the S3 bucket for the report"),
    preset("format", Word(&["JSON", "CSV"]), "\"JSON\"", ""),
];
const PRINCIPAL: Parameter = required(
    "principal",
    Text,
    "an AWS service, such as `acm.amazonaws.com`",
);
const SOURCE_ACCOUNT: Parameter = optional("source_account", Text, "the account of the caller");
const CREATE_PERMISSION: &[Parameter] = &[
    PRINCIPAL,
    required(
        "actions",
        List(&Text),
        "`IssueCertificate`, `GetCertificate`, `ListPermissions`",
    ),
    SOURCE_ACCOUNT,
];
const DELETE_PERMISSION: &[Parameter] = &[PRINCIPAL, SOURCE_ACCOUNT];

const DESCRIBE: &str = "DescribeCertificateAuthority";
const UPDATE: &str = "UpdateCertificateAuthority";

const SAME_TWICE: Doubt = Doubt::Again("repeated: a second call has no further effect");

const PERMISSION_BACK: Reversible =
    Reversible::By("the earlier permission is restored", undo::of_permission);
const FOR_PERMISSION_BACK: &[&str] = &[DESCRIBE, "CreatePermission", "DeletePermission"];
const POLICY_BACK: Reversible = Reversible::By("the earlier policy is restored", undo::of_policy);
const FOR_POLICY_BACK: &[&str] = &[DESCRIBE, "PutPolicy", "DeletePolicy"];
const TAGS_BACK: Reversible = Reversible::By("the earlier tags are restored", undo::of_tags);
const FOR_TAGS_BACK: &[&str] = &[
    DESCRIBE,
    "TagCertificateAuthority",
    "UntagCertificateAuthority",
];

pub static TABLE: [Function; 28] = [
    Function {
        name: "pca::certificate_authority_certificate",
        about: "Returns the certificate of a CA itself.",
        takes: &[ARN],
        gives: Gives::new(Record(SIGNED), ""),
        does: Reads,
        needs: Needs::aws(&["GetCertificateAuthorityCertificate"]),
        example: "let signed = pca::certificate_authority_certificate(inputs.ca);",
        bind: |b| b.with(authority::certificate),
    },
    Function {
        name: "pca::certificate_authority_csr",
        about: "Returns the signing request of a CA.",
        takes: &[ARN],
        gives: Gives::new(Text, "PEM"),
        does: Reads,
        needs: Needs::aws(&["GetCertificateAuthorityCsr"]),
        example: "let csr = pca::certificate_authority_csr(inputs.ca);",
        bind: |b| b.with(authority::csr),
    },
    Function {
        name: "pca::create_audit_report",
        about: "Makes AWS write a report of all certificates of a CA to a bucket; `pca::wait_until_audit_report` waits for it. The caller needs `s3:PutObject` there, and the bucket's policy must let acm-pca.amazonaws.com write.",
        takes: &[CA, required("options", Record(AUDIT_REPORT), "")],
        gives: Gives::new(Text, "the report's id"),
        does: Changes(Changing::new(
            Doubt::Again(
                "repeated: a second report is one more file; AWS writes one in 30 minutes and answers RequestInProgressException until then",
            ),
            Reversible::Never("the report stays in its bucket", undo::of_audit_report),
        )),
        needs: Needs::aws(&["CreateCertificateAuthorityAuditReport"]),
        example: "let id = pca::create_audit_report(inputs.ca, #{ bucket: \"pki-audit\" });",
        bind: |b| b.with(access::create_audit_report),
    },
    Function {
        name: "pca::create_certificate_authority",
        about: "Creates a CA. It has no certificate yet: sign its request, then import the certificate.",
        takes: &[required("options", Record(CREATE), "")],
        gives: Gives::new(Text, "the ARN of the CA"),
        does: Changes(Changing {
            find: undo::find_authority,
            ..Changing::new(
                Doubt::Found(
                    "looked up by the tag `windlass:effect`, which contains the call's key",
                ),
                Reversible::By(
                    "the CA is disabled and deleted; it can be restored for 30 days",
                    undo::of_creation,
                ),
            )
        }),
        // A creation in doubt is settled by looking for the CA's tag.
        needs: Needs::Aws {
            run: &[
                "CreateCertificateAuthority",
                "TagCertificateAuthority",
                "ListCertificateAuthorities",
                "ListTags",
            ],
            undo: &[DESCRIBE, UPDATE, "DeleteCertificateAuthority"],
        },
        example: "let arn = pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"Root\" } });",
        bind: |b| b.with(authority::create),
    },
    Function {
        name: "pca::create_permission",
        about: "Allows an AWS service to use a CA.",
        takes: &[CA, required("options", Record(CREATE_PERMISSION), "")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(SAME_TWICE, PERMISSION_BACK)),
        needs: Needs::Aws {
            run: &["CreatePermission", "ListPermissions"],
            undo: FOR_PERMISSION_BACK,
        },
        example: "pca::create_permission(inputs.ca, #{ principal: \"acm.amazonaws.com\", actions: [\"IssueCertificate\", \"GetCertificate\"] });",
        bind: |b| b.with(access::create_permission),
    },
    Function {
        name: "pca::delete_certificate_authority",
        about: "Deletes a CA that is disabled or has no certificate. It can be restored for some days.",
        takes: &[ARN, required("options", Record(DELETE), "")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            Doubt::Again("repeated: it is not an error if the CA is already deleted"),
            Reversible::By("the CA is restored, disabled", undo::of_deletion),
        )),
        needs: Needs::Aws {
            run: &["DeleteCertificateAuthority", DESCRIBE],
            undo: &["RestoreCertificateAuthority"],
        },
        example: "pca::delete_certificate_authority(inputs.ca, #{ restore_within_days: 30 });",
        bind: |b| b.with(authority::delete),
    },
    Function {
        name: "pca::delete_permission",
        about: "Deletes the permission of an AWS service.",
        takes: &[CA, required("options", Record(DELETE_PERMISSION), "")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(SAME_TWICE, PERMISSION_BACK)),
        needs: Needs::Aws {
            run: &["DeletePermission", "ListPermissions"],
            undo: FOR_PERMISSION_BACK,
        },
        example: "pca::delete_permission(inputs.ca, #{ principal: \"acm.amazonaws.com\" });",
        bind: |b| b.with(access::delete_permission),
    },
    Function {
        name: "pca::delete_policy",
        about: "Deletes the resource policy of a CA.",
        takes: &[CA],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(SAME_TWICE, POLICY_BACK)),
        needs: Needs::Aws {
            run: &["DeletePolicy", "GetPolicy"],
            undo: FOR_POLICY_BACK,
        },
        example: "pca::delete_policy(inputs.ca);",
        bind: |b| b.with(access::delete_policy),
    },
    Function {
        name: "pca::describe_audit_report",
        about: "Returns the state of an audit report.",
        takes: &[CA, REPORT_ID],
        gives: Gives::new(Record(REPORT), ""),
        does: Reads,
        needs: Needs::aws(&["DescribeCertificateAuthorityAuditReport"]),
        example: "let report = pca::describe_audit_report(inputs.ca, inputs.id);",
        bind: |b| b.with(access::describe_audit_report),
    },
    Function {
        name: "pca::describe_certificate_authority",
        about: "Returns the state of a CA.",
        takes: &[ARN],
        gives: Gives::new(Record(STATE), ""),
        does: Reads,
        needs: Needs::aws(&[DESCRIBE]),
        example: "let status = pca::describe_certificate_authority(inputs.ca).status;",
        bind: |b| b.with(authority::describe_dynamic),
    },
    Function {
        name: "pca::disable_certificate_authority",
        about: "Disables a CA: it issues no certificates until it is enabled again, but it can revoke them.",
        takes: &[ARN],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            SAME_TWICE,
            Reversible::By(
                "the CA is enabled, if it was enabled before",
                undo::of_disabling,
            ),
        )),
        needs: Needs::aws(&[UPDATE, DESCRIBE]),
        example: "pca::disable_certificate_authority(inputs.ca);",
        bind: |b| b.with(authority::disable),
    },
    Function {
        name: "pca::enable_certificate_authority",
        about: "Enables a CA that is disabled.",
        takes: &[ARN],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            SAME_TWICE,
            Reversible::By(
                "the CA is disabled, if it was disabled before",
                undo::of_enabling,
            ),
        )),
        needs: Needs::aws(&[UPDATE, DESCRIBE]),
        example: "pca::enable_certificate_authority(inputs.ca);",
        bind: |b| b.with(authority::enable),
    },
    Function {
        name: "pca::get_certificate",
        about: "Returns a certificate, or fails with `RequestInProgressException` while it is not ready.",
        takes: &[CA, CERTIFICATE],
        gives: Gives::new(Record(SIGNED), ""),
        does: Reads,
        needs: Needs::aws(&["GetCertificate"]),
        example: "let signed = pca::get_certificate(inputs.ca, inputs.arn);",
        bind: |b| b.with(certificate::get_dynamic),
    },
    Function {
        name: "pca::get_policy",
        about: "Returns the resource policy of a CA.",
        takes: &[CA],
        gives: Gives::new(Maybe(&Text), "JSON"),
        does: Reads,
        needs: Needs::aws(&["GetPolicy"]),
        example: "let policy = pca::get_policy(inputs.ca);",
        bind: |b| b.with(access::get_policy),
    },
    Function {
        name: "pca::import_certificate_authority_certificate",
        about: "Imports the signed certificate of a CA.",
        takes: &[CA, required("options", Record(IMPORT), "")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            SAME_TWICE,
            Reversible::By(
                "the earlier certificate is imported again; a CA that had none is disabled, because AWS can't remove a certificate",
                undo::of_import,
            ),
        )),
        needs: Needs::Aws {
            run: &[
                "ImportCertificateAuthorityCertificate",
                "GetCertificateAuthorityCertificate",
            ],
            undo: &[DESCRIBE, UPDATE],
        },
        example: "pca::import_certificate_authority_certificate(inputs.ca, #{ certificate: inputs.certificate });",
        bind: |b| b.with(certificate::import),
    },
    Function {
        name: "pca::issue_certificate",
        about: "Requests a certificate from a CA, which is ready later: `pca::wait_until_issued` waits for it.",
        takes: &[CA, required("options", Record(ISSUE), "")],
        gives: Gives::new(Text, "the ARN of the certificate"),
        does: Changes(Changing {
            find: undo::find_certificate,
            ..Changing::new(
                Doubt::AgainFor(
                    certificate::TOKEN_LIVES,
                    "repeated with the same idempotency token, which AWS remembers for five minutes; after four minutes, the run asks",
                ),
                Reversible::By(
                    "the certificate is revoked; a self-signed one is deleted with its CA",
                    undo::of_issue,
                ),
            )
        }),
        needs: Needs::Aws {
            run: &["IssueCertificate"],
            // Before it revokes a certificate that AWS rejects, the undo reads it: it may never have been issued.
            undo: &["RevokeCertificate", DESCRIBE, "GetCertificate"],
        },
        example: "let arn = pca::issue_certificate(inputs.ca, #{ csr: inputs.csr, validity: \"365d\" });",
        bind: |b| b.with(certificate::issue),
    },
    Function {
        name: "pca::list_certificate_authorities",
        about: "Lists all CAs of the account and region.",
        takes: &[],
        gives: Gives::new(List(&Record(STATE)), ""),
        does: Reads,
        needs: Needs::aws(&["ListCertificateAuthorities"]),
        example: "let all = pca::list_certificate_authorities();",
        bind: |b| b.with(authority::list),
    },
    Function {
        name: "pca::list_permissions",
        about: "Lists which AWS services may use a CA.",
        takes: &[CA],
        gives: Gives::new(List(&Record(PERMISSION)), ""),
        does: Reads,
        needs: Needs::aws(&["ListPermissions"]),
        example: "let permissions = pca::list_permissions(inputs.ca);",
        bind: |b| b.with(access::list_permissions),
    },
    Function {
        name: "pca::list_tags",
        about: "Returns the tags of a CA.",
        takes: &[ARN],
        gives: Gives::new(Map(&Text), ""),
        does: Reads,
        needs: Needs::aws(&["ListTags"]),
        example: "let name = pca::list_tags(inputs.ca).Name;",
        bind: |b| b.with(authority::tags),
    },
    Function {
        name: "pca::put_policy",
        about: "Sets the resource policy of a CA.",
        takes: &[CA, required("json", Text, "the policy as JSON")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(SAME_TWICE, POLICY_BACK)),
        needs: Needs::Aws {
            run: &["PutPolicy", "GetPolicy"],
            undo: FOR_POLICY_BACK,
        },
        example: "pca::put_policy(inputs.ca, json::stringify(inputs.policy));",
        bind: |b| b.with(access::put_policy),
    },
    Function {
        name: "pca::restore_certificate_authority",
        about: "Restores a deleted CA to the status that it had.",
        takes: &[ARN],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            Doubt::Again("repeated: it is not an error if the CA is already restored"),
            Reversible::By("the CA is disabled and deleted again", undo::of_restoration),
        )),
        needs: Needs::Aws {
            run: &["RestoreCertificateAuthority", DESCRIBE],
            undo: &[DESCRIBE, UPDATE, "DeleteCertificateAuthority"],
        },
        example: "pca::restore_certificate_authority(inputs.ca);",
        bind: |b| b.with(authority::restore),
    },
    Function {
        name: "pca::revoke_certificate",
        about: "Revokes a certificate.",
        takes: &[CA, required("options", Record(REVOKE), "")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            Doubt::Again("repeated: a second call has no further effect"),
            Reversible::Never("a revoked certificate stays revoked", undo::of_revocation),
        )),
        needs: Needs::aws(&["RevokeCertificate"]),
        example: "pca::revoke_certificate(inputs.ca, #{ serial: inputs.serial, reason: \"SUPERSEDED\" });",
        bind: |b| b.with(certificate::revoke),
    },
    Function {
        name: "pca::tag_certificate_authority",
        about: "Sets tags of a CA; its other tags stay.",
        takes: &[ARN, required("tags", Tags, "")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(SAME_TWICE, TAGS_BACK)),
        needs: Needs::Aws {
            run: &["TagCertificateAuthority", "ListTags"],
            undo: FOR_TAGS_BACK,
        },
        example: "pca::tag_certificate_authority(inputs.ca, #{ Name: \"Root\" });",
        bind: |b| b.with(authority::tag),
    },
    Function {
        name: "pca::untag_certificate_authority",
        about: "Removes tags of a CA.",
        takes: &[ARN, required("keys", List(&Any), "the names of the tags")],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(SAME_TWICE, TAGS_BACK)),
        needs: Needs::Aws {
            run: &["UntagCertificateAuthority", "ListTags"],
            undo: FOR_TAGS_BACK,
        },
        example: "pca::untag_certificate_authority(inputs.ca, [\"Name\"]);",
        bind: |b| b.with(authority::untag),
    },
    Function {
        name: "pca::wait_until_active",
        about: "Waits until a CA is ACTIVE, for ten minutes at most.",
        takes: &[ARN],
        gives: Gives::NOTHING,
        does: Reads,
        needs: Needs::aws(&[DESCRIBE]),
        example: "pca::wait_until_active(inputs.ca);",
        bind: |b| b.with(wait::until_active),
    },
    Function {
        name: "pca::wait_until_audit_report",
        about: "Waits until an audit report is written, for ten minutes at most.",
        takes: &[CA, REPORT_ID],
        gives: Gives::new(Record(REPORT), ""),
        does: Reads,
        needs: Needs::aws(&["DescribeCertificateAuthorityAuditReport"]),
        example: "let report = pca::wait_until_audit_report(inputs.ca, inputs.id);",
        bind: |b| b.with(wait::until_audit_report),
    },
    Function {
        name: "pca::wait_until_csr_ready",
        about: "Waits until the signing request of a new CA can be read, for ten minutes at most.",
        takes: &[ARN],
        gives: Gives::NOTHING,
        does: Reads,
        needs: Needs::aws(&[DESCRIBE]),
        example: "pca::wait_until_csr_ready(inputs.ca);",
        bind: |b| b.with(wait::until_csr_ready),
    },
    Function {
        name: "pca::wait_until_issued",
        about: "Waits until a certificate is issued, for ten minutes at most, and gives it.",
        takes: &[CA, CERTIFICATE],
        gives: Gives::new(Record(SIGNED), ""),
        does: Reads,
        needs: Needs::aws(&["GetCertificate"]),
        example: "let signed = pca::wait_until_issued(inputs.ca, inputs.arn);",
        bind: |b| b.with(wait::until_issued),
    },
];
