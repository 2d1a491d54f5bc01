//! What the name of an operation shows: whether it only reads, and the IAM action that allows it.

use super::model::Service;

/// The prefixes of operations that change nothing.
const READING: [&str; 9] = [
    "BatchGet", "Describe", "Get", "Head", "List", "Lookup", "Query", "Scan", "Search",
];

/// Operations that change nothing although their names do not show it: they compute, or return credentials that expire
/// (AWS KMS and STS API References).
const READING_ALSO: [(&str, &str); 16] = [
    ("kms", "Decrypt"),
    ("kms", "DeriveSharedSecret"),
    ("kms", "Encrypt"),
    ("kms", "GenerateDataKey"),
    ("kms", "GenerateDataKeyPair"),
    ("kms", "GenerateDataKeyPairWithoutPlaintext"),
    ("kms", "GenerateDataKeyWithoutPlaintext"),
    ("kms", "GenerateMac"),
    ("kms", "GenerateRandom"),
    ("kms", "ReEncrypt"),
    ("kms", "Sign"),
    ("kms", "Verify"),
    ("kms", "VerifyMac"),
    ("sts", "AssumeRole"),
    ("sts", "AssumeRoleWithSAML"),
    ("sts", "AssumeRoleWithWebIdentity"),
];

/// Operations whose names look like reads, but which change something (Amazon Cognito API Reference: they register an identity).
const CHANGING: [(&str, &str); 3] = [
    ("cognito-identity", "GetId"),
    ("cognito-identity", "GetOpenIdToken"),
    ("cognito-identity", "GetOpenIdTokenForDeveloperIdentity"),
];

/// Says whether an operation changes nothing.
pub fn is_read(service: &str, operation: &str) -> bool {
    let begins = |word: &str| {
        let rest = operation.strip_prefix(word);
        // `Listen` is not `List`.
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let pair = (service, operation);
    !CHANGING.contains(&pair)
        && (READING_ALSO.contains(&pair) || READING.iter().any(|word| begins(word)))
}

/// Prefixes of actions that differ from the name in signatures (AWS Service Authorization Reference).
const PREFIXES: [(&str, &str); 2] = [("tagging", "tag"), ("monitoring", "cloudwatch")];

/// Operations whose actions have different names (AWS Service Authorization Reference, the pages of each service).
const ACTIONS: [(&str, &str, &[&str]); 70] = [
    (
        "dynamodb",
        "BatchExecuteStatement",
        &[
            "dynamodb:PartiQLDelete",
            "dynamodb:PartiQLInsert",
            "dynamodb:PartiQLSelect",
            "dynamodb:PartiQLUpdate",
        ],
    ),
    (
        "dynamodb",
        "ExecuteStatement",
        &[
            "dynamodb:PartiQLDelete",
            "dynamodb:PartiQLInsert",
            "dynamodb:PartiQLSelect",
            "dynamodb:PartiQLUpdate",
        ],
    ),
    (
        "dynamodb",
        "ExecuteTransaction",
        &[
            "dynamodb:PartiQLDelete",
            "dynamodb:PartiQLInsert",
            "dynamodb:PartiQLSelect",
            "dynamodb:PartiQLUpdate",
        ],
    ),
    ("dynamodb", "TransactGetItems", &["dynamodb:GetItem"]),
    (
        "dynamodb",
        "TransactWriteItems",
        &[
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        ],
    ),
    (
        "kms",
        "ReEncrypt",
        &["kms:ReEncryptFrom", "kms:ReEncryptTo"],
    ),
    (
        "lambda",
        "GetLayerVersionByArn",
        &["lambda:GetLayerVersion"],
    ),
    ("lambda", "Invoke", &["lambda:InvokeFunction"]),
    ("lambda", "InvokeAsync", &["lambda:InvokeFunction"]),
    (
        "lambda",
        "InvokeWithResponseStream",
        &["lambda:InvokeFunction"],
    ),
    ("s3", "AbortMultipartUpload", &["s3:AbortMultipartUpload"]),
    ("s3", "CompleteMultipartUpload", &["s3:PutObject"]),
    ("s3", "CopyObject", &["s3:GetObject", "s3:PutObject"]),
    ("s3", "CreateMultipartUpload", &["s3:PutObject"]),
    (
        "s3",
        "DeleteBucketAnalyticsConfiguration",
        &["s3:PutAnalyticsConfiguration"],
    ),
    ("s3", "DeleteBucketCors", &["s3:PutBucketCORS"]),
    (
        "s3",
        "DeleteBucketEncryption",
        &["s3:PutEncryptionConfiguration"],
    ),
    (
        "s3",
        "DeleteBucketIntelligentTieringConfiguration",
        &["s3:PutIntelligentTieringConfiguration"],
    ),
    (
        "s3",
        "DeleteBucketInventoryConfiguration",
        &["s3:PutInventoryConfiguration"],
    ),
    (
        "s3",
        "DeleteBucketLifecycle",
        &["s3:PutLifecycleConfiguration"],
    ),
    (
        "s3",
        "DeleteBucketMetricsConfiguration",
        &["s3:PutMetricsConfiguration"],
    ),
    (
        "s3",
        "DeleteBucketOwnershipControls",
        &["s3:PutBucketOwnershipControls"],
    ),
    (
        "s3",
        "DeleteBucketReplication",
        &["s3:PutReplicationConfiguration"],
    ),
    ("s3", "DeleteBucketTagging", &["s3:PutBucketTagging"]),
    ("s3", "DeleteObjects", &["s3:DeleteObject"]),
    (
        "s3",
        "DeletePublicAccessBlock",
        &["s3:PutBucketPublicAccessBlock"],
    ),
    (
        "s3",
        "GetBucketAccelerateConfiguration",
        &["s3:GetAccelerateConfiguration"],
    ),
    (
        "s3",
        "GetBucketAnalyticsConfiguration",
        &["s3:GetAnalyticsConfiguration"],
    ),
    ("s3", "GetBucketCors", &["s3:GetBucketCORS"]),
    (
        "s3",
        "GetBucketEncryption",
        &["s3:GetEncryptionConfiguration"],
    ),
    (
        "s3",
        "GetBucketIntelligentTieringConfiguration",
        &["s3:GetIntelligentTieringConfiguration"],
    ),
    (
        "s3",
        "GetBucketInventoryConfiguration",
        &["s3:GetInventoryConfiguration"],
    ),
    (
        "s3",
        "GetBucketLifecycleConfiguration",
        &["s3:GetLifecycleConfiguration"],
    ),
    (
        "s3",
        "GetBucketMetricsConfiguration",
        &["s3:GetMetricsConfiguration"],
    ),
    (
        "s3",
        "GetBucketNotificationConfiguration",
        &["s3:GetBucketNotification"],
    ),
    (
        "s3",
        "GetBucketReplication",
        &["s3:GetReplicationConfiguration"],
    ),
    (
        "s3",
        "GetObjectLockConfiguration",
        &["s3:GetBucketObjectLockConfiguration"],
    ),
    (
        "s3",
        "GetPublicAccessBlock",
        &["s3:GetBucketPublicAccessBlock"],
    ),
    ("s3", "HeadBucket", &["s3:ListBucket"]),
    ("s3", "HeadObject", &["s3:GetObject"]),
    (
        "s3",
        "ListBucketAnalyticsConfigurations",
        &["s3:GetAnalyticsConfiguration"],
    ),
    (
        "s3",
        "ListBucketIntelligentTieringConfigurations",
        &["s3:GetIntelligentTieringConfiguration"],
    ),
    (
        "s3",
        "ListBucketInventoryConfigurations",
        &["s3:GetInventoryConfiguration"],
    ),
    (
        "s3",
        "ListBucketMetricsConfigurations",
        &["s3:GetMetricsConfiguration"],
    ),
    ("s3", "ListBuckets", &["s3:ListAllMyBuckets"]),
    (
        "s3",
        "ListMultipartUploads",
        &["s3:ListBucketMultipartUploads"],
    ),
    ("s3", "ListObjectVersions", &["s3:ListBucketVersions"]),
    ("s3", "ListObjects", &["s3:ListBucket"]),
    ("s3", "ListObjectsV2", &["s3:ListBucket"]),
    ("s3", "ListParts", &["s3:ListMultipartUploadParts"]),
    (
        "s3",
        "PutBucketAccelerateConfiguration",
        &["s3:PutAccelerateConfiguration"],
    ),
    (
        "s3",
        "PutBucketAnalyticsConfiguration",
        &["s3:PutAnalyticsConfiguration"],
    ),
    ("s3", "PutBucketCors", &["s3:PutBucketCORS"]),
    (
        "s3",
        "PutBucketEncryption",
        &["s3:PutEncryptionConfiguration"],
    ),
    (
        "s3",
        "PutBucketIntelligentTieringConfiguration",
        &["s3:PutIntelligentTieringConfiguration"],
    ),
    (
        "s3",
        "PutBucketInventoryConfiguration",
        &["s3:PutInventoryConfiguration"],
    ),
    (
        "s3",
        "PutBucketLifecycleConfiguration",
        &["s3:PutLifecycleConfiguration"],
    ),
    (
        "s3",
        "PutBucketMetricsConfiguration",
        &["s3:PutMetricsConfiguration"],
    ),
    (
        "s3",
        "PutBucketNotificationConfiguration",
        &["s3:PutBucketNotification"],
    ),
    (
        "s3",
        "PutBucketReplication",
        &["s3:PutReplicationConfiguration"],
    ),
    (
        "s3",
        "PutObjectLockConfiguration",
        &["s3:PutBucketObjectLockConfiguration"],
    ),
    (
        "s3",
        "PutPublicAccessBlock",
        &["s3:PutBucketPublicAccessBlock"],
    ),
    ("s3", "UploadPart", &["s3:PutObject"]),
    ("s3", "UploadPartCopy", &["s3:GetObject", "s3:PutObject"]),
    (
        "secretsmanager",
        "BatchGetSecretValue",
        &[
            "secretsmanager:BatchGetSecretValue",
            "secretsmanager:GetSecretValue",
            "secretsmanager:ListSecrets",
        ],
    ),
    ("sns", "PublishBatch", &["sns:Publish"]),
    (
        "sqs",
        "ChangeMessageVisibilityBatch",
        &["sqs:ChangeMessageVisibility"],
    ),
    ("sqs", "DeleteMessageBatch", &["sqs:DeleteMessage"]),
    ("sqs", "SendMessageBatch", &["sqs:SendMessage"]),
    // "No permissions are required to perform this operation."
    ("sts", "GetCallerIdentity", &[]),
];

/// Returns the IAM actions that allow an operation; empty if it needs none.
pub fn actions(service: &Service, operation: &str) -> Vec<String> {
    let named = ACTIONS
        .iter()
        .find(|(of, name, _)| *of == service.name && *name == operation);
    if let Some((.., actions)) = named {
        return actions.iter().map(|action| (*action).to_owned()).collect();
    }
    let signing = service.signing.as_str();
    let prefix = PREFIXES.iter().find(|(name, _)| *name == signing);
    let prefix = prefix.map_or(signing, |(_, prefix)| prefix);
    vec![format!("{prefix}:{operation}")]
}

#[cfg(test)]
mod tests {
    use super::{
        super::model::{service, services},
        *,
    };

    #[test]
    fn names_say_what_reads() {
        for (service, operation, reads) in [
            ("secretsmanager", "GetSecretValue", true),
            ("ssm", "DescribeParameters", true),
            ("s3", "HeadObject", true),
            ("dynamodb", "BatchGetItem", true),
            ("dynamodb", "Query", true),
            ("kms", "Decrypt", true),
            ("sts", "AssumeRole", true),
            ("cognito-identity", "GetId", false),
            ("x", "Listen", false),
            ("x", "Getaway", false),
            ("secretsmanager", "PutSecretValue", false),
            ("lambda", "Invoke", false),
            ("sqs", "ReceiveMessage", false),
            ("iam", "SimulatePrincipalPolicy", false),
        ] {
            assert_eq!(is_read(service, operation), reads, "{service} {operation}");
        }
    }

    #[test]
    fn what_reads_is_asked_for_no_token() {
        // The models show more reliably than names which operations create something.
        for name in services() {
            let service = service(name).expect("a model");
            for (operation, asked) in &service.operations {
                let creates = service.token(asked).is_some();
                assert!(!(creates && is_read(name, operation)), "{name} {operation}");
            }
        }
    }

    #[test]
    fn actions_of_iam_are_named_by_the_service() {
        let of = |name: &str, operation: &str| {
            actions(service(name).expect("a model"), operation).join(" ")
        };
        assert_eq!(
            of("secretsmanager", "GetSecretValue"),
            "secretsmanager:GetSecretValue"
        );
        assert_eq!(
            of("elbv2", "DescribeLoadBalancers"),
            "elasticloadbalancing:DescribeLoadBalancers"
        );
        assert_eq!(of("ecr", "ListImages"), "ecr:ListImages");
        assert_eq!(
            of("resourcegroupstaggingapi", "GetResources"),
            "tag:GetResources"
        );
        assert_eq!(of("s3", "ListObjectsV2"), "s3:ListBucket");
        assert_eq!(of("sts", "GetCallerIdentity"), "");
        assert_eq!(of("sqs", "SendMessageBatch"), "sqs:SendMessage");
        assert_eq!(of("dynamodb", "TransactGetItems"), "dynamodb:GetItem");
        for (name, operation, _) in ACTIONS {
            let service = service(name).expect("a model");
            let is_known = service.operations.contains_key(operation);
            assert!(is_known || operation == "InvokeAsync", "{name} {operation}");
        }
    }
}
