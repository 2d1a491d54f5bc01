//! Discovery: `/version`, `/api`, `/apis` and the lists of resources below them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::resource::Resource;

/// The Kubernetes version whose behaviour this server follows.
const MAJOR: &str = "1";
const MINOR: &str = "36";

/// All resources, by group and version.
pub(crate) struct Discovery {
    groups: BTreeMap<String, BTreeMap<String, Vec<Resource>>>,
}

impl Discovery {
    pub fn new(resources: Vec<Resource>) -> Self {
        let mut groups: BTreeMap<_, BTreeMap<_, Vec<_>>> = BTreeMap::new();
        for resource in resources {
            let versions = groups.entry(resource.group.clone()).or_default();
            versions
                .entry(resource.version.clone())
                .or_default()
                .push(resource);
        }
        Self { groups }
    }

    /// Returns the versions of a group, the preferred version first.
    fn versions(&self, group: &str) -> Vec<&String> {
        let versions = self.groups.get(group);
        let mut versions: Vec<_> = versions.into_iter().flat_map(BTreeMap::keys).collect();
        // Stable before beta before alpha, then the highest first; this suffices for version numbers of one digit.
        versions.sort_by_key(|version| {
            (
                version.contains("alpha"),
                version.contains("beta"),
                std::cmp::Reverse(version.len()),
                std::cmp::Reverse(version.as_str()),
            )
        });
        versions
    }

    pub fn resources(&self, group: &str, version: &str) -> Option<&[Resource]> {
        self.groups.get(group)?.get(version).map(Vec::as_slice)
    }

    /// Returns every group and version, with its path below `/`: `api/v1`, `apis/apps/v1`.
    pub fn paths(&self) -> Vec<(String, &str, &str)> {
        let mut paths = Vec::new();
        for (group, versions) in &self.groups {
            for version in versions.keys() {
                let path = match group.as_str() {
                    "" => format!("api/{version}"),
                    group => format!("apis/{group}/{version}"),
                };
                paths.push((path, group.as_str(), version.as_str()));
            }
        }
        paths
    }
}

/// Returns the document at a path, or `None` if there is none.
pub(crate) fn discover(discovery: &Discovery, path: &str, aggregated: bool) -> Option<Json> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["version"] => version(),
        ["api"] if aggregated => in_one(discovery, |group| group.is_empty()),
        ["apis"] if aggregated => in_one(discovery, |group| !group.is_empty()),
        ["api"] => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let named = discovery.groups.keys().filter(|group| !group.is_empty());
            let groups: Vec<_> = named.map(|name| group(discovery, name)).collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["api", version] => list(discovery, "", version)?,
        ["apis", name] => {
            discovery.groups.get(*name)?;
            let mut group = group(discovery, name);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        ["apis", group, version] => list(discovery, group, version)?,
        [""] => {
            let paths: Vec<_> = discovery
                .paths()
                .into_iter()
                .map(|(path, ..)| format!("/{path}"))
                .collect();
            json!({ "paths": paths })
        }
        _ => return None,
    })
}

fn version() -> Json {
    json!({
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": format!("v{MAJOR}.{MINOR}.0+windlass"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

fn group(discovery: &Discovery, name: &str) -> Json {
    let versions = discovery.versions(name).into_iter();
    let versions: Vec<_> = versions
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({ "name": name, "preferredVersion": versions.first(), "versions": versions })
}

fn list(discovery: &Discovery, group: &str, version: &str) -> Option<Json> {
    let resources = discovery.resources(group, version)?;
    let group_version = resources.first()?.api_version();
    let mut all = Vec::new();
    for resource in resources {
        let mut one = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs,
        });
        add_names(&mut one, resource);
        all.push(one);
        for name in &resource.subresources {
            let sub = Subresource::of(resource, name);
            let mut one = json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": sub.kind,
                "verbs": sub.verbs,
            });
            if sub.group != resource.group {
                one["group"] = sub.group.into();
                one["version"] = "v1".into();
            }
            all.push(one);
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": all,
    }))
}

/// A subresource: the kind of its objects and its verbs.
struct Subresource<'a> {
    group: &'a str,
    kind: &'a str,
    verbs: &'static [&'static str],
}

impl<'a> Subresource<'a> {
    fn of(resource: &'a Resource, name: &str) -> Self {
        match name {
            "scale" => Self {
                group: "autoscaling",
                kind: "Scale",
                verbs: &["get", "patch", "update"],
            },
            "eviction" => Self {
                group: "policy",
                kind: "Eviction",
                verbs: &["create"],
            },
            "portforward" => Self {
                group: "",
                kind: "PodPortForwardOptions",
                verbs: &["create", "get"],
            },
            "token" => Self {
                group: "authentication.k8s.io",
                kind: "TokenRequest",
                verbs: &["create"],
            },
            _ => Self {
                group: &resource.group,
                kind: &resource.kind,
                verbs: &["get", "patch", "update"],
            },
        }
    }
}

/// Returns all groups in one document (apidiscovery.k8s.io/v2).
fn in_one(discovery: &Discovery, wanted: impl Fn(&str) -> bool) -> Json {
    let names = discovery.groups.keys().filter(|name| wanted(name));
    let groups: Vec<_> = names
        .map(|name| {
            let versions = discovery.versions(name).into_iter();
            let versions: Vec<_> = versions
                .map(|version| {
                    let resources = discovery.resources(name, version).unwrap_or_default();
                    let resources: Vec<_> = resources.iter().map(entry).collect();
                    json!({ "version": version, "resources": resources, "freshness": "Current" })
                })
                .collect();
            let metadata = match name.as_str() {
                "" => json!({}),
                name => json!({ "name": name }),
            };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": groups,
    })
}

/// Adds the other names of a resource, which both forms of discovery leave out where there are none.
fn add_names(one: &mut Json, resource: &Resource) {
    if !resource.short.is_empty() {
        one["shortNames"] = json!(resource.short);
    }
    if !resource.categories.is_empty() {
        one["categories"] = json!(resource.categories);
    }
}

fn entry(resource: &Resource) -> Json {
    let kind = |group: &str, kind: &str| json!({ "group": group, "version": "v1", "kind": kind });
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": { "group": resource.group, "version": resource.version, "kind": resource.kind },
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    add_names(&mut entry, resource);
    if !resource.subresources.is_empty() {
        let all = resource.subresources.iter().map(|name| {
            let sub = Subresource::of(resource, name);
            json!({
                "subresource": name,
                "responseKind": kind(sub.group, sub.kind),
                "verbs": sub.verbs,
            })
        });
        entry["subresources"] = all.collect();
    }
    entry
}
