//! The RBAC permissions that calls need, and whether the caller has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::json;
use windlass_ground::boxed;

use super::{client::KubeClient, failure::About, resource::Resource};
use crate::value::Failure;

/// How long requests are retried when access is checked, before a run begins.
const PATIENCE: Duration = Duration::from_secs(1);

/// Verbs on one resource, as in a ClusterRole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permit {
    /// Empty for the core group.
    pub group: String,
    /// `deployments`, `pods/eviction`.
    pub resource: String,
    pub verb: &'static str,
    /// `None` for objects of any name.
    pub name: Option<String>,
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
    /// Returns the permission for a verb on a kubectl name: `deployment`, `pods/eviction`, `issuers.cert-manager.io`; only on the object of
    /// this name, if a rule can express that.
    pub fn of(word: &str, verb: &'static str, name: Option<&str>) -> Self {
        let (resource, group) = resource_and_group(word);
        Self {
            group,
            resource,
            verb,
            name: name
                .filter(|_| VERBS_OF_NAMES.contains(&verb))
                .map(str::to_owned),
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
    (plural(&resource.to_ascii_lowercase()), group.to_owned())
}

/// Returns the plural that nearly every custom kind has, by the rule with which clients guess it
/// (`meta.UnsafeGuessKindToResource`).
fn plural(word: &str) -> String {
    match word {
        word if word.ends_with("ss") || word.ends_with('x') || word.ends_with("ch") => {
            format!("{word}es")
        }
        word if word.ends_with('s') => word.to_owned(),
        word => match word.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{word}s"),
        },
    }
}

/// How many reviews of one cluster are asked for at once: each of them needs a connection, and a preflight asks many clusters.
const REVIEWS_AT_ONCE: usize = 4;

impl KubeClient {
    /// Returns which of these the caller may not do in all namespaces.
    #[boxed]
    pub async fn missing(&self, permits: &BTreeSet<Permit>) -> Result<BTreeSet<Permit>, Failure> {
        // A person waits for this answer.
        let client = &self.with_patience(PATIENCE);
        let reviews = permits.iter().map(|permit| async move {
            Ok::<_, Failure>((!client.may(permit).await?).then(|| permit.clone()))
        });
        let reviews = stream::iter(reviews.collect::<Vec<_>>());
        let answers: Vec<_> = reviews
            .buffer_unordered(REVIEWS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn may(&self, permit: &Permit) -> Result<bool, Failure> {
        // The cluster knows the plural of its custom kinds.
        let (resource, subresource) = match permit.resource.split_once('/') {
            Some((resource, subresource)) => (resource, subresource),
            None => (permit.resource.as_str(), ""),
        };
        let word = match permit.group.as_str() {
            "" => resource.to_owned(),
            group => format!("{resource}.{group}"),
        };
        let resource = match self.resource(&word).await {
            Ok(found) => found.plural,
            // A kind that this cluster does not serve is for another cluster of the run.
            Err(failure) if failure.code == "UnknownKind" => return Ok(true),
            Err(failure) => return Err(failure),
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "group": permit.group, "resource": resource, "subresource": subresource,
                "verb": permit.verb, "name": permit.name.as_deref().unwrap_or_default(),
            } },
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
        Ok(answer.pointer("/status/allowed") == Some(&serde_json::Value::Bool(true)))
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
