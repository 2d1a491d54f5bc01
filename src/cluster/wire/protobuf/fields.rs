//! The fields of messages: their numbers, and their names in JSON.

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Bytes; base64 in JSON.
    Data,
    /// A number for which zero is a value of its own, different from unset.
    Count,
    /// A number for which zero means unset.
    Number,
    Flag,
    Time,
    IntOrText,
    Texts,
    Datas,
    Quantities,
    Message(&'static [Field]),
}

/// A field of a message.
pub(super) struct Field {
    pub number: u64,
    pub name: &'static str,
    pub kind: Kind,
    pub repeated: bool,
}

use Kind::{Count, Data, Datas, Flag, IntOrText, Message, Number, Quantities, Text, Texts, Time};

const fn one(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
    }
}

const fn many(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: true,
    }
}

type Fields = &'static [Field];

/// The kinds that can be read: API version, kind and fields.
pub(super) const KINDS: &[(&str, &str, Fields)] = &[
    ("v1", "ConfigMap", CONFIG_MAP),
    ("v1", "Namespace", NAMESPACE),
    ("v1", "Secret", SECRET),
    ("v1", "ServiceAccount", SERVICE_ACCOUNT),
    ("apps/v1", "Deployment", DEPLOYMENT),
    (
        "authentication.k8s.io/v1",
        "SelfSubjectReview",
        ONLY_METADATA,
    ),
    ("authentication.k8s.io/v1", "TokenRequest", TOKEN_REQUEST),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        RULES_REVIEW,
    ),
    ("policy/v1", "Eviction", EVICTION),
    ("policy/v1", "PodDisruptionBudget", BUDGET),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", CLUSTER_ROLE),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        BINDING,
    ),
    ("rbac.authorization.k8s.io/v1", "Role", ROLE),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", BINDING),
];

pub(super) const UNKNOWN: Fields = &[
    one(
        1,
        "typeMeta",
        Message(&[one(1, "apiVersion", Text), one(2, "kind", Text)]),
    ),
    one(2, "raw", Data),
];
pub(super) const TIME: Fields = &[one(1, "seconds", Number), one(2, "nanos", Number)];
pub(super) const INT_OR_TEXT: Fields = &[
    one(1, "type", Number),
    one(2, "intVal", Number),
    one(3, "strVal", Text),
];
pub(super) const QUANTITY: Fields = &[one(1, "string", Text)];
pub(super) const DELETE_OPTIONS: Fields = &[
    one(1, "gracePeriodSeconds", Count),
    one(
        2,
        "preconditions",
        Message(&[one(1, "uid", Text), one(2, "resourceVersion", Text)]),
    ),
    one(3, "orphanDependents", Flag),
    one(4, "propagationPolicy", Text),
    many(5, "dryRun", Text),
];

const METADATA: Field = one(1, "metadata", Message(OBJECT_META));
const OBJECT_META: Fields = &[
    one(1, "name", Text),
    one(2, "generateName", Text),
    one(3, "namespace", Text),
    one(5, "uid", Text),
    one(6, "resourceVersion", Text),
    one(7, "generation", Number),
    one(8, "creationTimestamp", Time),
    one(11, "labels", Texts),
    one(12, "annotations", Texts),
    many(14, "finalizers", Text),
];
const ONLY_METADATA: Fields = &[METADATA];
const CONFIG_MAP: Fields = &[
    METADATA,
    one(2, "data", Texts),
    one(3, "binaryData", Datas),
    one(4, "immutable", Flag),
];
const NAMESPACE: Fields = &[
    METADATA,
    one(2, "spec", Message(&[many(1, "finalizers", Text)])),
    one(3, "status", Message(&[one(1, "phase", Text)])),
];
const SECRET: Fields = &[
    METADATA,
    one(2, "data", Datas),
    one(3, "type", Text),
    one(4, "stringData", Texts),
    one(5, "immutable", Flag),
];
const REFERENCE: Fields = &[one(1, "name", Text)];
const SERVICE_ACCOUNT: Fields = &[
    METADATA,
    many(3, "imagePullSecrets", Message(REFERENCE)),
    one(4, "automountServiceAccountToken", Flag),
];
const TOKEN_REQUEST: Fields = &[
    METADATA,
    one(
        2,
        "spec",
        Message(&[
            many(1, "audiences", Text),
            one(4, "expirationSeconds", Count),
        ]),
    ),
    one(3, "status", Message(&[one(2, "expirationTimestamp", Time)])),
];
const ACCESS_REVIEW: Fields = &[
    METADATA,
    one(
        2,
        "spec",
        Message(&[
            one(
                1,
                "resourceAttributes",
                Message(&[
                    one(1, "namespace", Text),
                    one(2, "verb", Text),
                    one(3, "group", Text),
                    one(4, "version", Text),
                    one(5, "resource", Text),
                    one(6, "subresource", Text),
                    one(7, "name", Text),
                ]),
            ),
            one(
                2,
                "nonResourceAttributes",
                Message(&[one(1, "path", Text), one(2, "verb", Text)]),
            ),
        ]),
    ),
];
const RULES_REVIEW: Fields = &[
    METADATA,
    one(2, "spec", Message(&[one(1, "namespace", Text)])),
];

const EVICTION: Fields = &[METADATA, one(2, "deleteOptions", Message(DELETE_OPTIONS))];
const BUDGET: Fields = &[
    METADATA,
    one(
        2,
        "spec",
        Message(&[
            one(1, "minAvailable", IntOrText),
            one(2, "selector", Message(SELECTOR)),
            one(3, "maxUnavailable", IntOrText),
            one(4, "unhealthyPodEvictionPolicy", Text),
        ]),
    ),
];

const RULES: Field = many(
    2,
    "rules",
    Message(&[
        many(1, "verbs", Text),
        many(2, "apiGroups", Text),
        many(3, "resources", Text),
        many(4, "resourceNames", Text),
        many(5, "nonResourceURLs", Text),
    ]),
);
const ROLE: Fields = &[METADATA, RULES];
const CLUSTER_ROLE: Fields = &[
    METADATA,
    RULES,
    one(
        3,
        "aggregationRule",
        Message(&[many(1, "clusterRoleSelectors", Message(SELECTOR))]),
    ),
];
const BINDING: Fields = &[
    METADATA,
    many(
        2,
        "subjects",
        Message(&[
            one(1, "kind", Text),
            one(2, "apiGroup", Text),
            one(3, "name", Text),
            one(4, "namespace", Text),
        ]),
    ),
    one(
        3,
        "roleRef",
        Message(&[
            one(1, "apiGroup", Text),
            one(2, "kind", Text),
            one(3, "name", Text),
        ]),
    ),
];

const SELECTOR: Fields = &[
    one(1, "matchLabels", Texts),
    many(
        2,
        "matchExpressions",
        Message(&[
            one(1, "key", Text),
            one(2, "operator", Text),
            many(3, "values", Text),
        ]),
    ),
];

/// The fields of a container that `kubectl create deployment` sets.
const CONTAINER: Fields = &[
    one(1, "name", Text),
    one(2, "image", Text),
    many(3, "command", Text),
    many(4, "args", Text),
    one(5, "workingDir", Text),
    many(
        6,
        "ports",
        Message(&[
            one(1, "name", Text),
            one(2, "hostPort", Number),
            one(3, "containerPort", Number),
            one(4, "protocol", Text),
            one(5, "hostIP", Text),
        ]),
    ),
    many(
        7,
        "env",
        Message(&[one(1, "name", Text), one(2, "value", Text)]),
    ),
    one(
        8,
        "resources",
        Message(&[one(1, "limits", Quantities), one(2, "requests", Quantities)]),
    ),
    one(14, "imagePullPolicy", Text),
];
const DEPLOYMENT: Fields = &[
    METADATA,
    one(
        2,
        "spec",
        Message(&[
            one(1, "replicas", Count),
            one(2, "selector", Message(SELECTOR)),
            one(
                3,
                "template",
                Message(&[
                    METADATA,
                    one(
                        2,
                        "spec",
                        Message(&[
                            many(2, "containers", Message(CONTAINER)),
                            one(3, "restartPolicy", Text),
                            one(8, "serviceAccountName", Text),
                        ]),
                    ),
                ]),
            ),
            one(
                4,
                "strategy",
                Message(&[
                    one(1, "type", Text),
                    one(
                        2,
                        "rollingUpdate",
                        Message(&[
                            one(1, "maxUnavailable", IntOrText),
                            one(2, "maxSurge", IntOrText),
                        ]),
                    ),
                ]),
            ),
            one(5, "minReadySeconds", Number),
            one(6, "revisionHistoryLimit", Count),
            one(7, "paused", Flag),
            one(9, "progressDeadlineSeconds", Count),
        ]),
    ),
];
