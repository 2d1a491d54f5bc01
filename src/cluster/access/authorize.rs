//! Role-based access control with the roles and bindings in the cluster.

use serde_json::Value as Json;

use super::User;
use crate::{
    object::{items, name, namespace, text},
    store::Transaction,
    wire::Failure,
};

const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const CLUSTER_ROLE_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";
const ROLES: &str = "roles.rbac.authorization.k8s.io";
const ROLE_BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";

/// What a user wants to do, as a SubjectAccessReview has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    /// Includes the subresource: `serviceaccounts/token`.
    pub resource: &'a str,
    /// Empty for all namespaces.
    pub namespace: &'a str,
    /// Empty for all names.
    pub name: &'a str,
}

/// Returns whether RBAC allows a user to use a resource.
pub(crate) fn may(tx: &Transaction, user: &User, wanted: &Attributes) -> Result<bool, Failure> {
    if user.is_master() {
        return Ok(true);
    }
    let rules = rules(tx, user, wanted.namespace)?;
    Ok(rules.iter().any(|rule| allows(rule, wanted)))
}

/// Returns whether RBAC allows a user to read or write a path that is not a resource's, such as `/healthz`.
pub(crate) fn may_path(
    tx: &Transaction,
    user: &User,
    verb: &str,
    path: &str,
) -> Result<bool, Failure> {
    if user.is_master() {
        return Ok(true);
    }
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    };
    Ok(rules(tx, user, "")?.iter().any(|rule| {
        has(rule, "verbs", |v| v == "*" || v == verb) && has(rule, "nonResourceURLs", fits)
    }))
}

/// Returns the rules that apply to a user in a namespace, or in the whole cluster if it is empty.
pub(crate) fn rules(tx: &Transaction, user: &User, within: &str) -> Result<Vec<Json>, Failure> {
    let mut rules = Vec::new();
    let mut bindings = tx.list(CLUSTER_ROLE_BINDINGS, None)?;
    if !within.is_empty() {
        bindings.extend(tx.list(ROLE_BINDINGS, Some(within))?);
    }
    for binding in bindings {
        let subjects = items(&binding, "/subjects");
        if !subjects.iter().any(|subject| is(subject, &binding, user)) {
            continue;
        }
        let role = text(&binding, "/roleRef/name").unwrap_or_default();
        let role = match text(&binding, "/roleRef/kind") {
            Some("ClusterRole") => tx.get(CLUSTER_ROLES, "", role)?,
            _ => tx.get(ROLES, namespace(&binding), role)?,
        };
        if let Some(role) = role {
            rules.extend(items(&role, "/rules").iter().cloned());
            rules.extend(aggregated(tx, &role)?);
        }
    }
    Ok(rules)
}

/// Returns the rules of the roles that an aggregating role selects by label.
fn aggregated(tx: &Transaction, role: &Json) -> Result<Vec<Json>, Failure> {
    let selectors = items(role, "/aggregationRule/clusterRoleSelectors");
    if selectors.is_empty() {
        return Ok(Vec::new());
    }
    let mut rules = Vec::new();
    for other in tx.list(CLUSTER_ROLES, None)? {
        let labels = &other["metadata"]["labels"];
        let selected = |selector| crate::api::selector_matches(selector, labels);
        if name(&other) != name(role) && selectors.iter().any(selected) {
            rules.extend(items(&other, "/rules").iter().cloned());
        }
    }
    Ok(rules)
}

fn is(subject: &Json, binding: &Json, user: &User) -> bool {
    let name = text(subject, "/name").unwrap_or_default();
    match text(subject, "/kind") {
        Some("User") => name == user.name,
        Some("Group") => user.groups.iter().any(|group| group == name),
        Some("ServiceAccount") => {
            let within = text(subject, "/namespace").unwrap_or(namespace(binding));
            user.name == format!("system:serviceaccount:{within}:{name}")
        }
        _ => false,
    }
}

fn allows(rule: &Json, wanted: &Attributes) -> bool {
    let one = |wanted: &str, found: &str| found == "*" || found == wanted;
    let subresource = wanted.resource.split_once('/').map(|(_, sub)| sub);
    let is_resource = |found: &str| {
        one(wanted.resource, found)
            || subresource.is_some_and(|sub| found.strip_prefix("*/") == Some(sub))
    };
    let names = items(rule, "/resourceNames");
    has(rule, "verbs", |found| one(wanted.verb, found))
        && has(rule, "apiGroups", |found| one(wanted.group, found))
        && has(rule, "resources", is_resource)
        && (names.is_empty() || names.iter().any(|name| name == wanted.name))
}

fn has(rule: &Json, field: &str, fits: impl Fn(&str) -> bool) -> bool {
    rule[field]
        .as_array()
        .is_some_and(|all| all.iter().filter_map(Json::as_str).any(fits))
}
