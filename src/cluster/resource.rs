//! The resources that the cluster serves: built-in ones, and those of CustomResourceDefinitions.

use serde_json::Value as Json;

use crate::{
    object::{items, text},
    schema::Schema,
};

/// One resource in one version of its group.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub short: Vec<String>,
    pub namespaced: bool,
    pub categories: Vec<String>,
    pub verbs: &'static [&'static str],
    pub subresources: Vec<&'static str>,
    /// The schema from the CustomResourceDefinition; `None` for a built-in resource.
    pub custom: Option<Custom>,
}

/// What a CustomResourceDefinition defines for one version.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    pub schema: Json,
    pub columns: Vec<Json>,
}

const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// For webhooks. Only the controllers in the options can create one, since a webhook that nothing serves would have to be
/// simulated by a guess.
const ALL_BUT_CREATE: &[&str] = &["delete", "get", "list", "patch", "update", "watch"];
/// For Pods, ReplicaSets and others that only controllers create.
const READ_AND_DELETE: &[&str] = &["delete", "deletecollection", "get", "list", "watch"];
const READ: &[&str] = &["get", "list", "watch"];
const ASK: &[&str] = &["create"];

/// A row of the table of built-in resources.
struct Row {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    verbs: &'static [&'static str],
    subresources: &'static [&'static str],
}

const fn row(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    verbs: &'static [&'static str],
    subresources: &'static [&'static str],
) -> Row {
    Row {
        group,
        plural,
        kind,
        short,
        namespaced,
        verbs,
        subresources,
    }
}

const ADMISSION: &str = "admissionregistration.k8s.io";
const APPS: &str = "apps";
const RBAC: &str = "rbac.authorization.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const SCALED: &[&str] = &["scale", "status"];
const STATUS: &[&str] = &["status"];

const BUILT_IN: [Row; 26] = [
    row("", "configmaps", "ConfigMap", &["cm"], true, ALL, &[]),
    row("", "events", "Event", &["ev"], true, ALL, &[]),
    row("", "namespaces", "Namespace", &["ns"], false, ALL, STATUS),
    row("", "nodes", "Node", &["no"], false, READ, &[]),
    row(
        "",
        "pods",
        "Pod",
        &["po"],
        true,
        READ_AND_DELETE,
        &["eviction", "portforward"],
    ),
    row("", "secrets", "Secret", &[], true, ALL, &[]),
    row(
        "",
        "serviceaccounts",
        "ServiceAccount",
        &["sa"],
        true,
        ALL,
        &["token"],
    ),
    row("", "services", "Service", &["svc"], true, ALL, &[]),
    row(
        APPS,
        "controllerrevisions",
        "ControllerRevision",
        &[],
        true,
        READ,
        &[],
    ),
    row(APPS, "daemonsets", "DaemonSet", &["ds"], true, ALL, STATUS),
    row(
        APPS,
        "deployments",
        "Deployment",
        &["deploy"],
        true,
        ALL,
        SCALED,
    ),
    row(
        APPS,
        "replicasets",
        "ReplicaSet",
        &["rs"],
        true,
        READ_AND_DELETE,
        &[],
    ),
    row(
        APPS,
        "statefulsets",
        "StatefulSet",
        &["sts"],
        true,
        ALL,
        SCALED,
    ),
    row(
        ADMISSION,
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        &[],
        false,
        ALL_BUT_CREATE,
        &[],
    ),
    row(
        ADMISSION,
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        &[],
        false,
        ALL_BUT_CREATE,
        &[],
    ),
    row(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &["crd", "crds"],
        false,
        ALL,
        &[],
    ),
    row(
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
        &[],
        false,
        ASK,
        &[],
    ),
    row(
        AUTHORIZATION,
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        &[],
        false,
        ASK,
        &[],
    ),
    row(
        AUTHORIZATION,
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        &[],
        false,
        ASK,
        &[],
    ),
    row(
        AUTHORIZATION,
        "subjectaccessreviews",
        "SubjectAccessReview",
        &[],
        false,
        ASK,
        &[],
    ),
    row(
        "networking.k8s.io",
        "networkpolicies",
        "NetworkPolicy",
        &["netpol"],
        true,
        ALL,
        &[],
    ),
    row(
        "policy",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        &["pdb"],
        true,
        ALL,
        STATUS,
    ),
    row(
        RBAC,
        "clusterrolebindings",
        "ClusterRoleBinding",
        &[],
        false,
        ALL,
        &[],
    ),
    row(RBAC, "clusterroles", "ClusterRole", &[], false, ALL, &[]),
    row(RBAC, "rolebindings", "RoleBinding", &[], true, ALL, &[]),
    row(RBAC, "roles", "Role", &[], true, ALL, &[]),
];

/// The resources of `kubectl get all`.
const IN_ALL: [&str; 6] = [
    "daemonsets",
    "deployments",
    "pods",
    "replicasets",
    "services",
    "statefulsets",
];

impl Resource {
    pub fn built_in() -> impl Iterator<Item = Self> {
        BUILT_IN.iter().map(Self::of_row)
    }

    pub fn find_built_in(group: &str, version: &str, plural: &str) -> Option<Self> {
        let row = BUILT_IN
            .iter()
            .find(|row| row.group == group && row.plural == plural)?;
        (version == "v1").then(|| Self::of_row(row))
    }

    /// Returns the built-in resource with this [`key`](Self::key).
    pub fn by_key(key: &str) -> Self {
        let (plural, group) = key.split_once('.').unwrap_or((key, ""));
        Self::find_built_in(group, "v1", plural).expect("only built-in resources are named here")
    }

    /// Returns the versions that a CustomResourceDefinition serves.
    pub fn of_definition(definition: &Json) -> Vec<Self> {
        let names = &definition["spec"]["names"];
        let list = |pointer| {
            let all = items(names, pointer).iter();
            all.filter_map(|one| one.as_str().map(str::to_owned))
                .collect()
        };
        let string = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let served = items(definition, "/spec/versions").iter();
        served
            .filter(|version| version["served"] == true)
            .map(|version| Self {
                group: string(&definition["spec"]["group"]),
                version: string(&version["name"]),
                plural: string(&names["plural"]),
                singular: string(&names["singular"]),
                kind: string(&names["kind"]),
                short: list("/shortNames"),
                namespaced: text(definition, "/spec/scope") == Some("Namespaced"),
                categories: list("/categories"),
                verbs: ALL,
                subresources: match version.pointer("/subresources/status") {
                    Some(_) => vec!["status"],
                    None => vec![],
                },
                custom: Some(Custom {
                    schema: version["schema"]["openAPIV3Schema"].clone(),
                    columns: items(version, "/additionalPrinterColumns").to_vec(),
                }),
            })
            .collect()
    }

    fn of_row(row: &Row) -> Self {
        let owned = |text: &&str| (*text).to_owned();
        Self {
            group: row.group.into(),
            version: "v1".into(),
            plural: row.plural.into(),
            singular: row.kind.to_lowercase(),
            kind: row.kind.into(),
            short: row.short.iter().map(owned).collect(),
            namespaced: row.namespaced,
            categories: if IN_ALL.contains(&row.plural) {
                vec!["all".into()]
            } else {
                vec![]
            },
            verbs: row.verbs,
            subresources: row.subresources.to_vec(),
            custom: None,
        }
    }

    /// Returns the name of the resource in the store and in messages: `secrets`, `deployments.apps`.
    pub fn key(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources.contains(&name)
    }

    /// Returns the schema of its objects.
    pub fn schema(&self) -> Schema<'_> {
        match &self.custom {
            Some(custom) => Schema::custom(&custom.schema),
            None => Schema::built_in(&self.group, &self.kind),
        }
    }
}
