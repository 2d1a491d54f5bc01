use std::fmt;

/// A kind of objects of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// The name in paths: `deployments`.
    pub plural: String,
    pub kind: String,
    pub is_namespaced: bool,
}

/// The kinds of every cluster: kind, plural, other names, group, version, whether it is namespaced.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    bool,
);

/// The kinds that need no discovery. The short names are those of `kubectl api-resources`.
const KNOWN: [Row; 27] = [
    ("ConfigMap", "configmaps", &["cm"], "", "v1", true),
    ("Event", "events", &["ev"], "", "v1", true),
    ("Namespace", "namespaces", &["ns"], "", "v1", false),
    ("Node", "nodes", &["no"], "", "v1", false),
    (
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        &["pvc"],
        "",
        "v1",
        true,
    ),
    ("Pod", "pods", &["po"], "", "v1", true),
    ("Secret", "secrets", &[], "", "v1", true),
    ("Service", "services", &["svc"], "", "v1", true),
    ("ServiceAccount", "serviceaccounts", &["sa"], "", "v1", true),
    (
        "ControllerRevision",
        "controllerrevisions",
        &[],
        "apps",
        "v1",
        true,
    ),
    ("DaemonSet", "daemonsets", &["ds"], "apps", "v1", true),
    ("Deployment", "deployments", &["deploy"], "apps", "v1", true),
    ("ReplicaSet", "replicasets", &["rs"], "apps", "v1", true),
    ("StatefulSet", "statefulsets", &["sts"], "apps", "v1", true),
    (
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        &["hpa"],
        "autoscaling",
        "v2",
        true,
    ),
    ("CronJob", "cronjobs", &["cj"], "batch", "v1", true),
    ("Job", "jobs", &[], "batch", "v1", true),
    (
        "Ingress",
        "ingresses",
        &["ing"],
        "networking.k8s.io",
        "v1",
        true,
    ),
    (
        "NetworkPolicy",
        "networkpolicies",
        &["netpol"],
        "networking.k8s.io",
        "v1",
        true,
    ),
    (
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        &["pdb"],
        "policy",
        "v1",
        true,
    ),
    (
        "ClusterRole",
        "clusterroles",
        &[],
        "rbac.authorization.k8s.io",
        "v1",
        false,
    ),
    (
        "ClusterRoleBinding",
        "clusterrolebindings",
        &[],
        "rbac.authorization.k8s.io",
        "v1",
        false,
    ),
    (
        "Role",
        "roles",
        &[],
        "rbac.authorization.k8s.io",
        "v1",
        true,
    ),
    (
        "RoleBinding",
        "rolebindings",
        &[],
        "rbac.authorization.k8s.io",
        "v1",
        true,
    ),
    (
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        &[],
        "authorization.k8s.io",
        "v1",
        false,
    ),
    (
        "CustomResourceDefinition",
        "customresourcedefinitions",
        &["crd", "crds"],
        "apiextensions.k8s.io",
        "v1",
        false,
    ),
    (
        "StorageClass",
        "storageclasses",
        &["sc"],
        "storage.k8s.io",
        "v1",
        false,
    ),
];

impl Resource {
    /// Returns a kind that every cluster has, by its name, plural or short name, in any case; a version and a group may follow,
    /// as in kubectl (`deployments.apps`, `deployments.v1.apps`, `secrets.v1.`).
    pub fn known(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let (name, rest) = match word.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (word.as_str(), None),
        };
        let fits = |in_group: &str, in_version: &str| match rest {
            None => true,
            Some(rest) if rest == in_group => true,
            Some(rest) => rest.split_once('.') == Some((in_version, in_group)),
        };
        KNOWN
            .iter()
            .find(|(kind, plural, short, in_group, version, _)| {
                let is_named =
                    kind.eq_ignore_ascii_case(name) || *plural == name || short.contains(&name);
                is_named && fits(in_group, version)
            })
            .map(Self::of)
    }

    /// Says whether its contents are secret.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && self.plural == "secrets"
    }

    /// Returns a kind that every cluster has, by its names in a manifest.
    pub fn known_kind(api_version: &str, kind: &str) -> Option<Self> {
        KNOWN
            .iter()
            .map(Self::of)
            .find(|known| known.kind == kind && known.api_version() == api_version)
    }

    fn of(row: &Row) -> Self {
        let (kind, plural, _, group, version, is_namespaced) = *row;
        Self {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            kind: kind.into(),
            is_namespaced,
        }
    }

    /// Returns the version as in a manifest: `apps/v1`, `v1`.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Returns the path of all objects, in one namespace or (empty) in all.
    pub fn path(&self, namespace: &str) -> String {
        let root = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        match namespace {
            "" => format!("{root}/{}", self.plural),
            namespace => format!("{root}/namespaces/{namespace}/{}", self.plural),
        }
    }

    /// Says whether a rollout replaces its pods.
    pub fn is_workload(&self) -> bool {
        self.group == "apps"
            && matches!(
                self.plural.as_str(),
                "deployments" | "statefulsets" | "daemonsets"
            )
    }
}

/// Shows it as kubectl does: `deployment.apps`, `secret`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.to_ascii_lowercase())?;
        match self.group.as_str() {
            "" => Ok(()),
            group => write!(f, ".{group}"),
        }
    }
}

/// The name of an object in scripts, in kubectl's `TYPE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// `deployment`, `deploy`, `deployments.apps`, `roottrustpolicies.admin.gloo.solo.io`.
    pub kind: String,
    /// The version in which it is read and written; `None` for the one that the cluster prefers.
    pub version: Option<String>,
    pub namespace: String,
    pub name: String,
}

impl Named {
    /// Says whether it is a Secret, in any spelling of the kind.
    pub fn is_secret(&self) -> bool {
        Resource::known(&self.kind).is_some_and(|kind| kind.is_secret())
    }

    /// Parses `TYPE/NAME`.
    ///
    /// # Errors
    /// A text of another form.
    pub fn parse(namespace: &str, text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((kind, name)) if !kind.is_empty() && is_name(name) => Ok(Self {
                kind: kind.into(),
                version: None,
                namespace: namespace.into(),
                name: name.into(),
            }),
            _ => Err(format!(
                "`{text}` is not TYPE/NAME, such as `deployment/istiod`"
            )),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{}/{}", self.kind, self.name),
            namespace => write!(f, "{}/{} in {namespace}", self.kind, self.name),
        }
    }
}

/// Says whether a text can be an object's name, so that it is a single part of a path.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_'))
        && !text.chars().all(|c| c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_all_their_names() {
        for word in ["Deployment", "deploy", "deployments", "deployments.apps"] {
            let found = Resource::known(word).expect(word);
            assert_eq!(
                found.path("a"),
                "/apis/apps/v1/namespaces/a/deployments",
                "{word}"
            );
        }
        assert_eq!(Resource::known("deployments.extensions"), None);
        assert_eq!(
            Resource::known("secret").map(|r| r.path("")),
            Some("/api/v1/secrets".into())
        );
        assert!(Resource::known_kind("v1", "Deployment").is_none());
    }

    #[test]
    fn h4_a_secret_is_one_however_it_is_spelled() {
        for word in [
            "Secret",
            "secret",
            "SECRETS",
            "secrets",
            "secrets.",
            "Secret.",
            "secrets.v1.",
            "secret.v1.",
        ] {
            assert!(
                Resource::known(word).is_some_and(|kind| kind.is_secret()),
                "{word}"
            );
        }
        for word in [
            "secrets.example.com",
            "secrets.v2.",
            "secrets.v1",
            "secretss",
        ] {
            assert_eq!(Resource::known(word), None, "{word}");
        }
        assert!(Resource::known("deployments.v1.apps").is_some());
    }

    #[test]
    fn an_object_is_named_as_kubectl_names_it() {
        let named = Named::parse("x", "deployment/istiod").expect("a name");
        assert_eq!(named.to_string(), "deployment/istiod in x");
        for wrong in ["istiod", "/a", "a/", "a/b/c", "a/..", "a/b?x"] {
            assert!(Named::parse("x", wrong).is_err(), "{wrong}");
        }
    }
}
