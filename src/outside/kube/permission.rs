//! What calls need of a cluster's RBAC, and whether the caller has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::Method;
use serde_json::json;

use super::{client::KubeClient, failure::About, resource::Resource};
use crate::value::Failure;

/// How long trouble is ridden out when access is asked for, before a run begins.
const PATIENCE: Duration = Duration::from_secs(1);

/// Verbs on one resource, as a ClusterRole grants them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permit {
    /// Empty for the core group.
    pub group: String,
    /// `deployments`, `pods/eviction`.
    pub resource: String,
    pub verb: &'static str,
}

/// What a call is about.
enum Subject {
    /// The kind that its argument names.
    Argument,
    /// Workloads, of the kind that its argument names, or of any.
    Workload,
    Fixed(&'static str),
}

/// The verbs that a host function of module `kube` needs, with what is read before it for an undo.
fn needs(function: &str) -> &'static [(Subject, &'static [&'static str])] {
    use Subject::{Argument, Fixed, Workload};
    match function {
        "kube::get" | "kube::find" => &[(Argument, &["get"])],
        "kube::list" => &[(Argument, &["list"])],
        "kube::wait_until" => &[(Argument, &["get", "watch"])],
        // An object that is not there yet is created by the same request.
        "kube::apply" => &[(Argument, &["get", "create", "patch"])],
        "kube::patch" => &[(Argument, &["get", "patch"])],
        "kube::delete" => &[(Argument, &["get", "delete"])],
        "kube::apply_secret" => &[(Fixed("secrets"), &["get", "create", "patch"])],
        "kube::secret_differences" => &[(Fixed("secrets"), &["get"])],
        "kube::restart" => &[(Workload, &["get", "patch"])],
        "kube::wait_rollout" => &[
            (Workload, &["get", "watch"]),
            (Fixed("pods"), &["list"]),
            (Fixed("events"), &["list"]),
        ],
        "kube::replace_pods" => &[
            (Workload, &["get"]),
            (Fixed("pods"), &["list"]),
            (Fixed("pods/eviction"), &["create"]),
            (Fixed("events"), &["list"]),
        ],
        "kube::workloads" => &[
            (Fixed("deployments"), &["list"]),
            (Fixed("statefulsets"), &["list"]),
            (Fixed("daemonsets"), &["list"]),
        ],
        "kube::pods" => &[(Workload, &["get"]), (Fixed("pods"), &["list"])],
        // Since Kubernetes 1.35 a WebSocket needs the right to create as well.
        "kube::tls_chain" | "kube::http_get" => &[(Fixed("pods/portforward"), &["get", "create"])],
        "kube::events" => &[(Fixed("events"), &["list"])],
        _ => &[],
    }
}

/// The verbs that an undo of a host function needs beyond its own.
fn undo_needs(function: &str) -> &'static [(Subject, &'static [&'static str])] {
    use Subject::{Argument, Fixed};
    match function {
        // What was not there before is deleted.
        "kube::apply" => &[(Argument, &["delete"])],
        "kube::apply_secret" => &[(Fixed("secrets"), &["delete"])],
        "kube::delete" => &[(Argument, &["create"])],
        _ => &[],
    }
}

const WORKLOADS: [&str; 3] = ["deployments", "statefulsets", "daemonsets"];

/// What calls need together, and the functions whose kind is only known at run time.
///
/// Each call is a function with the kind that its arguments name, where they name it literally.
/// `with_undo` adds what their reversal needs.
pub fn permits_of<'a>(
    calls: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    with_undo: bool,
) -> (BTreeSet<Permit>, BTreeSet<String>) {
    let (mut permits, mut open) = (BTreeSet::new(), BTreeSet::new());
    for (function, kind) in calls {
        let undo = undo_needs(function).iter().filter(|_| with_undo);
        for (subject, verbs) in needs(function).iter().chain(undo) {
            let words: Vec<&str> = match (subject, kind) {
                (Subject::Fixed(word), _) => vec![*word],
                (Subject::Argument | Subject::Workload, Some(kind)) => vec![kind],
                (Subject::Workload, None) => WORKLOADS.to_vec(),
                (Subject::Argument, None) => {
                    open.insert(function.to_owned());
                    continue;
                }
            };
            for word in words {
                let (resource, group) = resource_and_group(word);
                permits.extend(verbs.iter().map(|verb| Permit {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb,
                }));
            }
        }
    }
    (permits, open)
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

/// The plural that nearly every custom kind has: the rule by which clients guess it
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

impl KubeClient {
    /// Finds which of these the caller may not do in all namespaces.
    pub async fn missing(&self, permits: &BTreeSet<Permit>) -> Result<BTreeSet<Permit>, Failure> {
        // Somebody waits for this answer.
        let client = &self.with_patience(PATIENCE);
        let reviews = permits.iter().map(|permit| async move {
            Ok::<_, Failure>((!client.may(permit).await?).then(|| permit.clone()))
        });
        let answers = futures_util::future::try_join_all(reviews).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn may(&self, permit: &Permit) -> Result<bool, Failure> {
        // The cluster knows the plural of a kind of its own.
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
            // A kind that the cluster does not serve is for another of the run's clusters.
            Err(failure) if failure.code == "UnknownKind" => return Ok(true),
            Err(failure) => return Err(failure),
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "group": permit.group, "resource": resource, "subresource": subresource,
                "verb": permit.verb,
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

/// Groups permits as the rules of a ClusterRole: resources of one group with the same verbs
/// together.
pub fn rules(permits: &BTreeSet<Permit>) -> Vec<(String, Vec<String>, Vec<&'static str>)> {
    let mut verbs: BTreeMap<(&str, &str), Vec<&'static str>> = BTreeMap::new();
    for permit in permits {
        let of = verbs.entry((&permit.group, &permit.resource)).or_default();
        of.push(permit.verb);
    }
    let mut rules: BTreeMap<(&str, Vec<&'static str>), Vec<String>> = BTreeMap::new();
    for ((group, resource), verbs) in verbs {
        rules
            .entry((group, verbs))
            .or_default()
            .push(resource.to_owned());
    }
    let rule = |((group, verbs), resources): ((&str, _), _)| (group.to_owned(), resources, verbs);
    rules.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_t_be_told_is_named() {
        let calls = [
            ("kube::restart", None),
            ("kube::get", None),
            ("kube::patch", Some("roottrustpolicies.admin.gloo.solo.io")),
            ("pca::list_tags", None),
        ];
        let (permits, open) = permits_of(calls, false);
        assert_eq!(open.into_iter().collect::<Vec<_>>(), ["kube::get"]);
        let shown: Vec<_> = rules(&permits)
            .into_iter()
            .map(|(group, resources, verbs)| {
                format!("{group}: {} {}", resources.join(","), verbs.join(","))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "admin.gloo.solo.io: roottrustpolicies get,patch",
                "apps: daemonsets,deployments,statefulsets get,patch"
            ]
        );
    }
}
