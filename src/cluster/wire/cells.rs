//! The columns of each kind, and the cells of an object.

use serde_json::{Value as Json, json};

use crate::{
    object::{Moment, items, moment, name, number, text},
    resource::Resource,
};

/// A column. One with priority 1 is shown only with `-o wide`.
pub(super) struct Column {
    name: String,
    kind: String,
    priority: i64,
}

impl Column {
    fn new(name: &str, kind: &str, priority: i64) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            priority,
        }
    }

    pub fn definition(&self) -> Json {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": if self.name == "Name" { "name" } else { "" },
            "description": "",
            "priority": self.priority,
        })
    }
}

/// Describes the columns: `Name:TYPE`, with a trailing `+` for those that only `-o wide` shows.
fn words(resource: &Resource) -> &'static str {
    match resource.key().as_str() {
        "configmaps" => "Data:integer Age",
        "secrets" => "Type Data:integer Age",
        "namespaces" => "Status Age",
        "serviceaccounts" => "Secrets:integer Age",
        "nodes" => "Status Roles Age Version",
        "pods" => "Ready Status Restarts Age IP+ Node+",
        "services" => "Type Cluster-IP External-IP Port(s) Age",
        "deployments.apps" => {
            "Ready Up-to-date:integer Available:integer Age Containers+ Images+ Selector+"
        }
        "replicasets.apps" => {
            "Desired:integer Current:integer Ready:integer Age Containers+ Images+ Selector+"
        }
        "statefulsets.apps" => "Ready Age Containers+ Images+",
        "daemonsets.apps" => {
            "Desired:integer Current:integer Ready:integer Up-to-date:integer Available:integer Node_Selector Age Containers+ Images+ Selector+"
        }
        "controllerrevisions.apps" => "Controller Revision:integer Age",
        "poddisruptionbudgets.policy" => {
            "Min_Available Max_Unavailable Allowed_Disruptions:integer Age"
        }
        "events" => "",
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            "Created_At"
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => "Role Age",
        "customresourcedefinitions.apiextensions.k8s.io" => "Created_At",
        _ => "Age",
    }
}

pub(super) fn columns(resource: &Resource) -> Vec<Column> {
    if resource.key() == "events" {
        let plain = |name| Column::new(name, "string", 0);
        return ["Last Seen", "Type", "Reason", "Object", "Message"]
            .map(plain)
            .into();
    }
    let mut columns = vec![Column::new("Name", "string", 0)];
    if let Some(custom) = resource
        .custom
        .as_ref()
        .filter(|custom| !custom.columns.is_empty())
    {
        columns.extend(custom.columns.iter().map(|column| {
            let of = |field: &str| column[field].as_str().unwrap_or_default();
            Column::new(
                of("name"),
                of("type"),
                number(column, "/priority").unwrap_or_default(),
            )
        }));
        return columns;
    }
    columns.extend(words(resource).split_whitespace().map(|word| {
        let wide = word.ends_with('+');
        let word = word.trim_end_matches('+').replace('_', " ");
        let (name, kind) = word.split_once(':').unwrap_or((&word, "string"));
        Column::new(name, kind, i64::from(wide))
    }));
    columns
}

pub(super) fn cells(resource: &Resource, object: &Json, now: Moment) -> Vec<Json> {
    let age = || -> Json { age_of(text(object, "/metadata/creationTimestamp"), now).into() };
    let of = |pointer: &str| -> Json { text(object, pointer).unwrap_or_default().into() };
    let count = |pointer: &str| number(object, pointer).unwrap_or_default();
    let size = |field: &str| -> usize { object[field].as_object().map_or(0, serde_json::Map::len) };
    if resource.key() == "events" {
        let about = &object["involvedObject"];
        let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
        let what = format!("{kind}/{}", about["name"].as_str().unwrap_or_default());
        let seen = age_of(text(object, "/lastTimestamp"), now);
        return vec![
            seen.into(),
            of("/type"),
            of("/reason"),
            what.into(),
            of("/message"),
        ];
    }
    let mut cells: Vec<Json> = vec![name(object).into()];
    if let Some(custom) = resource
        .custom
        .as_ref()
        .filter(|custom| !custom.columns.is_empty())
    {
        cells.extend(custom.columns.iter().map(|column| {
            let path = column["jsonPath"].as_str().unwrap_or_default();
            let found = object
                .pointer(&path.replace('.', "/"))
                .cloned()
                .unwrap_or_default();
            match (column["type"].as_str(), &found) {
                (Some("date"), Json::String(at)) => age_of(Some(at), now).into(),
                _ => found,
            }
        }));
        return cells;
    }
    let ratio = |ready: i64, all: i64| -> Json { format!("{ready}/{all}").into() };
    let template = "/spec/template/spec/containers";
    cells.extend(match resource.key().as_str() {
        "configmaps" => vec![(size("data") + size("binaryData")).into(), age()],
        "secrets" => vec![of("/type"), size("data").into(), age()],
        "namespaces" => vec![of("/status/phase"), age()],
        "serviceaccounts" => vec![items(object, "/secrets").len().into(), age()],
        "nodes" => vec![
            "Ready".into(),
            "<none>".into(),
            age(),
            of("/status/nodeInfo/kubeletVersion"),
        ],
        "pods" => pod(object, age()),
        "services" => vec![
            of("/spec/type"),
            of("/spec/clusterIP"),
            "<none>".into(),
            "<none>".into(),
            age(),
        ],
        "deployments.apps" => vec![
            ratio(count("/status/readyReplicas"), count("/spec/replicas")),
            count("/status/updatedReplicas").into(),
            count("/status/availableReplicas").into(),
            age(),
            each(object, template, "name"),
            each(object, template, "image"),
            selector(object),
        ],
        "replicasets.apps" => vec![
            count("/spec/replicas").into(),
            count("/status/replicas").into(),
            count("/status/readyReplicas").into(),
            age(),
            each(object, template, "name"),
            each(object, template, "image"),
            selector(object),
        ],
        "statefulsets.apps" => vec![
            ratio(count("/status/readyReplicas"), count("/spec/replicas")),
            age(),
            each(object, template, "name"),
            each(object, template, "image"),
        ],
        "daemonsets.apps" => vec![
            count("/status/desiredNumberScheduled").into(),
            count("/status/currentNumberScheduled").into(),
            count("/status/numberReady").into(),
            count("/status/updatedNumberScheduled").into(),
            count("/status/numberAvailable").into(),
            pairs(&object["spec"]["template"]["spec"]["nodeSelector"]),
            age(),
            each(object, template, "name"),
            each(object, template, "image"),
            selector(object),
        ],
        "poddisruptionbudgets.policy" => {
            let limit = |field: &str| -> Json {
                match &object["spec"][field] {
                    Json::Null => "N/A".into(),
                    Json::String(text) => text.as_str().into(),
                    number => number.to_string().into(),
                }
            };
            let allowed = count("/status/disruptionsAllowed");
            vec![
                limit("minAvailable"),
                limit("maxUnavailable"),
                allowed.into(),
                age(),
            ]
        }
        "controllerrevisions.apps" => vec![owner(object), count("/revision").into(), age()],
        "roles.rbac.authorization.k8s.io"
        | "clusterroles.rbac.authorization.k8s.io"
        | "customresourcedefinitions.apiextensions.k8s.io" => {
            vec![of("/metadata/creationTimestamp")]
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            let kind = text(object, "/roleRef/kind").unwrap_or_default();
            let role = text(object, "/roleRef/name").unwrap_or_default();
            vec![format!("{kind}/{role}").into(), age()]
        }
        _ => vec![age()],
    });
    cells
}

fn pod(object: &Json, age: Json) -> Vec<Json> {
    let statuses = items(object, "/status/containerStatuses");
    let ready = statuses.iter().filter(|one| one["ready"] == true).count();
    let all = items(object, "/spec/containers").len();
    let waiting = text(object, "/status/containerStatuses/0/state/waiting/reason");
    let phase = text(object, "/status/phase").unwrap_or_default();
    let restarts: i64 = statuses
        .iter()
        .filter_map(|one| one["restartCount"].as_i64())
        .sum();
    let or_none = |pointer: &str| -> Json { text(object, pointer).unwrap_or("<none>").into() };
    vec![
        format!("{ready}/{all}").into(),
        waiting.unwrap_or(phase).into(),
        restarts.to_string().into(),
        age,
        or_none("/status/podIP"),
        or_none("/spec/nodeName"),
    ]
}

fn owner(object: &Json) -> Json {
    let owner = &object["metadata"]["ownerReferences"][0];
    let kind = owner["kind"].as_str().unwrap_or_default().to_lowercase();
    format!("{kind}.apps/{}", owner["name"].as_str().unwrap_or_default()).into()
}

fn each(object: &Json, list: &str, field: &str) -> Json {
    let all = items(object, list).iter();
    let all: Vec<_> = all.filter_map(|one| one[field].as_str()).collect();
    all.join(",").into()
}

fn selector(object: &Json) -> Json {
    pairs(&object["spec"]["selector"]["matchLabels"])
}

fn pairs(labels: &Json) -> Json {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<_> = pairs
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        "<none>".into()
    } else {
        pairs.join(",").into()
    }
}

/// Returns an age as kubectl shows it: `7s`, `3m20s`, `5h`, `12d`.
fn age_of(at: Option<&str>, now: Moment) -> String {
    let Some(at) = at.and_then(moment) else {
        return "<unknown>".into();
    };
    let seconds = ((now - at) / 1000).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        10_800..172_800 => format!("{hours}h"),
        172_800..691_200 if hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        _ if days < 730 => format!("{days}d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_format_of_kubectl() {
        let age = |seconds: i64| age_of(Some("1970-01-01T00:00:00Z"), seconds * 1000);
        assert_eq!(age(7), "7s");
        assert_eq!(age(200), "3m20s");
        assert_eq!(age(5 * 3600), "5h");
        assert_eq!(age(12 * 86_400), "12d");
    }
}
