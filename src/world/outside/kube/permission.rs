//! The RBAC permissions that calls need, and whether the caller has them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Value as Json, json};
use windlass_ground::boxed;

use super::{client::KubeClient, failure::About, resource::Resource};
use crate::value::Failure;

/// How long requests are retried when access is checked, before a run begins.
const PATIENCE: Duration = Duration::from_secs(1);

/// Verbs on one resource, as in a ClusterRole. Two are the same if a ClusterRole grants both in the same words.
#[derive(Clone, Debug)]
pub struct Permit {
    /// Empty for the core group.
    pub group: String,
    /// `deployments`, `pods/eviction`. The plural of a custom kind is guessed.
    pub resource: String,
    pub verb: &'static str,
    /// `None` for objects of any name.
    pub name: Option<String>,
    /// The kind as the caller wrote it, with its group: a cluster that serves it knows its plural.
    kind: String,
}

impl Permit {
    fn granted(&self) -> (&str, &str, &str, Option<&str>) {
        let name = self.name.as_deref();
        (&self.group, &self.resource, self.verb, name)
    }
}

impl PartialEq for Permit {
    fn eq(&self, other: &Self) -> bool {
        self.granted() == other.granted()
    }
}

impl Eq for Permit {}

impl PartialOrd for Permit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Permit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.granted().cmp(&other.granted())
    }
}

/// What a cluster says about permits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// What the caller may not do in all namespaces.
    pub missing: BTreeSet<Permit>,
    /// The kinds that the cluster does not serve, so that nothing is known about permits for them.
    pub unserved: BTreeSet<String>,
}

/// The answer to the review of one permit.
enum Review {
    Allowed,
    Denied,
    /// The cluster does not serve the kind.
    Unserved,
}

/// A rule of a ClusterRole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterRule {
    pub group: String,
    pub resources: Vec<String>,
    pub verbs: Vec<&'static str>,
    /// Empty for objects of any name.
    pub names: Vec<String>,
}

/// The verbs that a rule can grant for single names. `create` and `list` are checked before a name is known
/// (Kubernetes, "Using RBAC Authorization", "Referring to resources").
const VERBS_OF_NAMES: [&str; 4] = ["delete", "get", "patch", "watch"];

impl Permit {
    /// Returns the permission for a verb on a kubectl name: `deployment`, `pods/eviction`, `issuers.cert-manager.io`, or on a kind as in a
    /// manifest with its group: `Gateway.networking.istio.io`; only on the object of this name, if a rule can express that.
    pub fn of(word: &str, verb: &'static str, name: Option<&str>) -> Self {
        let (resource, group) = resource_and_group(word);
        Self {
            group,
            resource,
            verb,
            name: name
                .filter(|_| VERBS_OF_NAMES.contains(&verb))
                .map(str::to_owned),
            kind: word.split('/').next().unwrap_or_default().to_owned(),
        }
    }

    /// Returns the same permission for objects of any name.
    pub fn of_any_name(&self) -> Self {
        Self {
            name: None,
            ..self.clone()
        }
    }
}

fn resource_and_group(word: &str) -> (String, String) {
    if let Some((of, subresource)) = word.split_once('/') {
        let (resource, group) = resource_and_group(of);
        return (format!("{resource}/{subresource}"), group);
    }
    if let Some(known) = Resource::known(word) {
        return (known.plural, known.group);
    }
    let (resource, group) = word.split_once('.').unwrap_or((word, ""));
    // Only a kind is written with a capital letter; a word that ends in `s` may be a plural.
    let is_kind = resource.starts_with(|c: char| c.is_ascii_uppercase());
    let plural = plural(&resource.to_ascii_lowercase(), is_kind);
    (plural, group.to_owned())
}

/// Returns the plural that nearly every custom kind has, as `controller-gen` writes it into definitions.
fn plural(word: &str, is_kind: bool) -> String {
    let ends_with = |ends: &[&str]| ends.iter().any(|end| word.ends_with(end));
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if ends_with(&["ss", "x", "ch", "sh"]) => format!("{word}es"),
        _ if !word.ends_with('s') => format!("{word}s"),
        _ if is_kind => format!("{word}es"),
        _ => word.to_owned(),
    }
}

/// How many reviews of one cluster are asked for at once: each of them needs a connection, and a preflight asks many clusters.
const REVIEWS_AT_ONCE: usize = 4;

impl KubeClient {
    /// Returns which of these the caller may not do in all namespaces, and the kinds that the cluster does not serve.
    #[boxed]
    pub async fn access(&self, permits: &BTreeSet<Permit>) -> Result<Reviewed, Failure> {
        // A person waits for this answer.
        let client = &self.with_patience(PATIENCE);
        let may_all = permits.len() > 1 && client.may_all().await?;
        let reviews = permits.iter().map(|permit| async move {
            Ok::<_, Failure>((permit, client.review(permit, may_all).await?))
        });
        let reviews = stream::iter(reviews.collect::<Vec<_>>());
        let answers: Vec<_> = reviews
            .buffer_unordered(REVIEWS_AT_ONCE)
            .try_collect()
            .await?;
        let mut access = Reviewed::default();
        for (permit, review) in answers {
            match review {
                Review::Allowed => {}
                Review::Denied => {
                    access.missing.insert(permit.clone());
                }
                Review::Unserved => {
                    access.unserved.insert(permit.kind.to_ascii_lowercase());
                }
            }
        }
        Ok(access)
    }

    /// Says whether the caller may do everything, as a cluster administrator does: one review instead of one for each permit
    /// ("ResourceAttributes", Kubernetes API reference: `*` means all).
    async fn may_all(&self) -> Result<bool, Failure> {
        let all = json!({ "group": "*", "version": "*", "resource": "*", "verb": "*" });
        self.is_allowed(all).await
    }

    async fn review(&self, permit: &Permit, may_all: bool) -> Result<Review, Failure> {
        // The cluster knows the plural of its custom kinds.
        let resource = match self.resource(&permit.kind).await {
            Ok(found) => found.plural,
            // It may be for another cluster of the run.
            Err(failure) if failure.code == "UnknownKind" => return Ok(Review::Unserved),
            Err(failure) => return Err(failure),
        };
        let subresource = permit.resource.split_once('/');
        let subresource = subresource.map_or("", |(_, subresource)| subresource);
        let asked = json!({
            "group": permit.group, "resource": resource, "subresource": subresource,
            "verb": permit.verb, "name": permit.name.as_deref().unwrap_or_default(),
        });
        Ok(if may_all || self.is_allowed(asked).await? {
            Review::Allowed
        } else {
            Review::Denied
        })
    }

    async fn is_allowed(&self, attributes: Json) -> Result<bool, Failure> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let about = About {
            operation: "review access".into(),
            cluster: self.cluster.to_string(),
            changes: false,
            is_repeatable: false,
            is_secret: false,
        };
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let body = Some(("application/json", &review));
        let answer = self.send(&about, Method::POST, path, &[], body).await?;
        Ok(answer.pointer("/status/allowed") == Some(&Json::Bool(true)))
    }
}

/// Groups permits into the rules of a ClusterRole: resources of one group with the same verbs together, and names of one resource
/// with the same verbs.
pub fn rules(permits: &BTreeSet<Permit>) -> Vec<ClusterRule> {
    let mut verbs: BTreeMap<(&str, &str, Option<&str>), Vec<&'static str>> = BTreeMap::new();
    for permit in permits {
        let of = (
            permit.group.as_str(),
            permit.resource.as_str(),
            permit.name.as_deref(),
        );
        verbs.entry(of).or_default().push(permit.verb);
    }
    // The key of a group: API group and verbs, and for permits with names also the resource.
    type Like<'a> = (&'a str, Vec<&'static str>, Option<&'a str>);
    let mut rules: BTreeMap<Like, ClusterRule> = BTreeMap::new();
    for ((group, resource, name), verbs) in verbs {
        let rule = rules.entry((group, verbs.clone(), name.map(|_| resource)));
        let rule = rule.or_insert_with(|| ClusterRule {
            group: group.to_owned(),
            resources: Vec::new(),
            verbs,
            names: Vec::new(),
        });
        if rule.resources.last().is_none_or(|last| last != resource) {
            rule.resources.push(resource.to_owned());
        }
        rule.names.extend(name.map(str::to_owned));
    }
    rules.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plural_of_a_kind_is_guessed_as_definitions_have_it() {
        for (word, resource, group) in [
            (
                "Gateway.networking.istio.io",
                "gateways",
                "networking.istio.io",
            ),
            (
                "VirtualGateway.networking.gloo.solo.io",
                "virtualgateways",
                "networking.gloo.solo.io",
            ),
            (
                "Prometheus.monitoring.coreos.com",
                "prometheuses",
                "monitoring.coreos.com",
            ),
            (
                "RootTrustPolicy.admin.gloo.solo.io",
                "roottrustpolicies",
                "admin.gloo.solo.io",
            ),
            (
                "gateway.networking.istio.io",
                "gateways",
                "networking.istio.io",
            ),
            (
                "gateways.networking.istio.io",
                "gateways",
                "networking.istio.io",
            ),
            ("mesh.admin.gloo.solo.io", "meshes", "admin.gloo.solo.io"),
            ("deploy", "deployments", "apps"),
            ("pods/eviction", "pods/eviction", ""),
        ] {
            let permit = Permit::of(word, "get", None);
            let found = (permit.resource.as_str(), permit.group.as_str());
            assert_eq!(found, (resource, group), "{word}");
        }
        let permit = |word| Permit::of(word, "get", Some("x"));
        assert_eq!(permit("Gateway.a.io"), permit("gateways.a.io"));
    }
}
