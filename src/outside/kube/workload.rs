//! Restarting workloads, waiting for them, and saying why one is stuck.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value as Json, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    client::{KubeClient, Patch, PatchKind, Selection},
    resource::Named,
    rollout::{Progress, progress},
};
use crate::value::{Failure, FailureClass};

/// As kubectl restarts; the `kube` crate has another annotation, which kubectl would not know.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// How many pods and events an error shows.
const SHOWN: usize = 3;

/// A pod, as far as it says whether a rollout goes well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodState {
    pub name: String,
    /// `Pending`, `Running`, …
    pub phase: String,
    pub is_ready: bool,
    /// Why it is not ready: `ImagePullBackOff`, `Unschedulable`, …
    pub reason: Option<String>,
    pub message: Option<String>,
    pub restarts: i64,
    pub node: Option<String>,
    /// RFC 3339.
    pub created: Option<String>,
}

/// A warning about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub kind: String,
    pub reason: String,
    pub message: String,
    pub count: i64,
    /// RFC 3339.
    pub last_seen: Option<String>,
}

impl KubeClient {
    /// Restarts a workload by changing an annotation of its pods, as `kubectl rollout restart`
    /// does. With the same moment twice it restarts once.
    pub async fn restart(&self, workload: &Named, at: &str) -> Result<Json, Failure> {
        let about = self.about("restart", workload, true);
        let found = self.get_workload(workload).await?;
        // A restart that came later than this one has done what this one is for.
        let annotations = found.pointer("/spec/template/metadata/annotations");
        let before = annotations.and_then(|all| all[RESTARTED_AT].as_str());
        if before.is_some_and(|before| moment(before) >= moment(at)) {
            return Ok(found);
        }
        if found.pointer("/spec/paused") == Some(&Json::Bool(true)) {
            let why = "its rollout is paused";
            let failure = about.failure(FailureClass::Rejected, "Paused", why);
            return Err(failure.with_hint("`kubectl rollout resume` first"));
        }
        let patch = Patch {
            kind: PatchKind::Strategic,
            body: json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: at } } } } }),
        };
        self.patch(workload, &patch).await
    }

    /// Waits until a rollout is over, or so much time has passed.
    ///
    /// A failure that was there before is none yet: the cluster takes it back once there is progress
    /// again. It counts where nothing has come by the end.
    pub async fn wait_rollout(
        &self,
        workload: &Named,
        patience: Duration,
    ) -> Result<Progress, Failure> {
        let before = self.get_workload(workload).await?;
        let is_stale = AtomicBool::new(matches!(progress(&before), Progress::Failed(_)));
        let is_over = |found: Option<&Json>| match found.map(progress) {
            Some(Progress::Waiting(_)) => {
                is_stale.store(false, Ordering::Relaxed);
                false
            }
            Some(Progress::Failed(_)) => !is_stale.load(Ordering::Relaxed),
            Some(Progress::Done) | None => true,
        };
        match self.watch_until(workload, patience, is_over).await? {
            Some(object) => Ok(progress(&object)),
            None => {
                let about = self.about("wait for", workload, false);
                Err(about.failure(FailureClass::Rejected, "NotFound", "it is not there"))
            }
        }
    }

    /// Says why a rollout does not end: its pods that are not ready, and what was warned of them.
    pub async fn explain(&self, workload: &Named, why: &str) -> Result<String, Failure> {
        let mut text = why.to_owned();
        let pods = self.pods(workload).await?;
        let stuck: Vec<_> = pods.iter().filter(|pod| !pod.is_ready).collect();
        for pod in stuck.iter().take(SHOWN) {
            let reason = pod.reason.as_deref().unwrap_or(&pod.phase);
            text.push_str(&format!("; pod {}: {reason}", pod.name));
            if let Some(message) = &pod.message {
                text.push_str(&format!(": {message}"));
            }
            let named = Named {
                kind: "pod".into(),
                namespace: workload.namespace.clone(),
                name: pod.name.clone(),
            };
            for event in self
                .events(&named)
                .await?
                .iter()
                .filter(|e| e.kind == "Warning")
                .take(SHOWN)
            {
                text.push_str(&format!(
                    " ({} ×{}: {})",
                    event.reason, event.count, event.message
                ));
            }
        }
        if stuck.len() > SHOWN {
            text.push_str(&format!("; and {} more pods", stuck.len() - SHOWN));
        }
        Ok(text)
    }

    /// Deployments, StatefulSets and DaemonSets of a selection.
    pub async fn workloads(&self, selection: &Selection) -> Result<Vec<Named>, Failure> {
        let mut workloads = Vec::new();
        for (kind, plural) in [
            ("deployment", "deployments"),
            ("statefulset", "statefulsets"),
            ("daemonset", "daemonsets"),
        ] {
            let text = |object: &Json, key: &str| {
                object["metadata"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let found = self.list(plural, selection).await?;
            workloads.extend(found.iter().map(|object| Named {
                kind: kind.into(),
                namespace: text(object, "namespace"),
                name: text(object, "name"),
            }));
        }
        Ok(workloads)
    }

    /// The pods that a workload selects, in the order of their names.
    pub async fn pods(&self, workload: &Named) -> Result<Vec<PodState>, Failure> {
        let found = self.get_workload(workload).await?;
        let selection = Selection {
            namespace: workload.namespace.clone(),
            labels: Some(selector(&found["spec"]["selector"])),
            fields: None,
        };
        let pods = self.list("pods", &selection).await?;
        Ok(pods.iter().map(pod_state).collect())
    }

    async fn get_workload(&self, workload: &Named) -> Result<Json, Failure> {
        let resource = self.resource(&workload.kind).await?;
        if !resource.is_workload() {
            let about = self.about("look at", workload, false);
            let why =
                format!("a {resource} has no rollout; a deployment, statefulset or daemonset has");
            return Err(about.failure(FailureClass::Rejected, "NoWorkload", why));
        }
        self.get(workload).await
    }

    /// What happened to an object lately, the newest first.
    pub async fn events(&self, object: &Named) -> Result<Vec<Trouble>, Failure> {
        let kind = self.resource(&object.kind).await?.kind;
        let selection = Selection {
            namespace: object.namespace.clone(),
            labels: None,
            fields: Some(format!(
                "involvedObject.kind={kind},involvedObject.name={}",
                object.name
            )),
        };
        let mut events: Vec<_> = self
            .list("events", &selection)
            .await?
            .iter()
            .map(trouble)
            .collect();
        events.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
        Ok(events)
    }
}

/// Nothing for a text that is no moment, which is earlier than any.
fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// A label selector as lists take it.
fn selector(selector: &Json) -> String {
    let labels: BTreeMap<String, String> =
        serde_json::from_value(selector["matchLabels"].clone()).unwrap_or_default();
    let mut parts: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    for rule in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = rule["key"].as_str().unwrap_or_default();
        let values = rule["values"].as_array().into_iter().flatten();
        let values: Vec<_> = values.filter_map(Json::as_str).collect();
        let values = values.join(",");
        parts.extend(match rule["operator"].as_str() {
            Some("In") => Some(format!("{key} in ({values})")),
            Some("NotIn") => Some(format!("{key} notin ({values})")),
            Some("Exists") => Some(key.to_owned()),
            Some("DoesNotExist") => Some(format!("!{key}")),
            _ => None,
        });
    }
    parts.join(",")
}

fn pod_state(pod: &Json) -> PodState {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let status = &pod["status"];
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let is_ready = conditions().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let containers: Vec<_> = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|key| status[key].as_array().into_iter().flatten())
        .collect();
    // A container that waits says most; then one that ended, then what keeps the pod from a node.
    let waiting = containers
        .iter()
        .map(|c| &c["state"]["waiting"])
        .find(|w| w.is_object());
    let ended = containers
        .iter()
        .map(|c| &c["state"]["terminated"])
        .find(|t| t["exitCode"].as_i64().is_some_and(|code| code != 0));
    let unscheduled = conditions().find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
    let unready = conditions().find(|c| c["type"] == "Ready" && c["status"] == "False");
    let told = waiting
        .or(ended)
        .or(unscheduled)
        .or(unready)
        .filter(|_| !is_ready);
    PodState {
        name: text(&pod["metadata"]["name"]).unwrap_or_default(),
        phase: text(&status["phase"]).unwrap_or_default(),
        is_ready,
        reason: told.and_then(|told| text(&told["reason"])),
        message: told.and_then(|told| text(&told["message"])),
        restarts: containers
            .iter()
            .filter_map(|c| c["restartCount"].as_i64())
            .sum(),
        node: text(&pod["spec"]["nodeName"]),
        created: text(&pod["metadata"]["creationTimestamp"]),
    }
}

fn trouble(event: &Json) -> Trouble {
    let text = |key: &str| event[key].as_str().map(str::to_owned);
    Trouble {
        kind: text("type").unwrap_or_default(),
        reason: text("reason").unwrap_or_default(),
        message: text("message").unwrap_or_default(),
        count: event["count"].as_i64().unwrap_or(1),
        last_seen: text("lastTimestamp").or_else(|| text("eventTime")),
    }
}
