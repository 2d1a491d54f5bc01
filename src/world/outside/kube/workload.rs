//! Restarts workloads, waits for them, and explains why one is stuck.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value as Json, json};
use tokio::time::Instant;
use windlass_ground::boxed;

use super::{
    client::{KubeClient, Patch, PatchKind, Selection},
    resource::Named,
    rollout::{Hindrance, Progress, RESTARTED_AT, progress, restarted_at, taken_back},
    watch::{PAUSE, Watching},
};
use crate::value::{Failure, FailureClass};

/// How many pods and events an error shows.
const SHOWN: usize = 3;

/// The state of a pod, as far as a rollout depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodState {
    pub name: String,
    /// `Pending`, `Running`, …
    pub phase: String,
    pub is_ready: bool,
    /// The reason why it is not ready: `ImagePullBackOff`, `Unschedulable`, …
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

/// A rollout that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub workload: Named,
    /// The time of the restart that every pod must belong to, RFC 3339.
    pub restart: Option<String>,
}

impl KubeClient {
    /// Restarts a workload by changing an annotation of its pods, as `kubectl rollout restart` does. Calling it again with the same time restarts
    /// nothing; any other value of the annotation is replaced, even a later one.
    ///
    /// # Errors
    /// A workload that would keep old pods (see [`Hindrance`]) is rejected before anything is changed; with `on_delete`, the strategy
    /// `OnDelete` is accepted. A restart that the API server did not store is `NotStored`.
    #[boxed]
    pub async fn restart(
        &self,
        workload: &Named,
        at: &str,
        on_delete: bool,
    ) -> Result<Json, Failure> {
        let about = self.about("restart", workload, true);
        let found = self.get_workload(workload).await?;
        if restarted_at(&found["spec"]["template"]) == Some(at) {
            return Ok(found);
        }
        let is_allowed = |hindrance: &Hindrance| on_delete && *hindrance == Hindrance::OnDelete;
        if let Some(hindrance) = Hindrance::of(&found).filter(|h| !is_allowed(h)) {
            let (code, why) = (hindrance.code(), hindrance.why());
            let failure = about.failure(FailureClass::Rejected, code, why);
            return Err(failure.with_hint(hindrance.hint()));
        }
        let patch = Patch {
            kind: PatchKind::Strategic,
            body: json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: at } } } } }),
        };
        // A wait for this workload begins with what is stored now.
        let path = self.resource(&workload.kind).await?;
        let path = path.path(&workload.namespace);
        self.streams.expect(&path, &workload.name);
        let stored = self.patch(workload, &patch).await?;
        self.streams.stored(&path, &stored);
        if taken_back(&stored, at).is_some() {
            let why = format!(
                "the API server accepted the restart and stored another `{RESTARTED_AT}` than {at}"
            );
            let failure = about.failure(FailureClass::Rejected, "NotStored", why);
            return Err(failure.with_hint("a mutating admission policy or webhook changes the pod template: exempt this annotation"));
        }
        Ok(stored)
    }

    /// Waits until a rollout is over, or this much time has passed.
    ///
    /// With the time of a `restart`, it is over when every pod belongs to that restart. A failure from before does not count at first: the
    /// cluster removes it when there is progress again. It counts if there is no progress until the end.
    ///
    /// # Errors
    /// `RestartUndone` if the pod template no longer has the restart's time.
    #[boxed]
    pub async fn wait_rollout(
        &self,
        workload: &Named,
        restart: Option<&str>,
        patience: Duration,
    ) -> Result<Progress, Failure> {
        self.check_workload(workload).await?;
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let object = self.watch_rollout(workload, restart, left).await?;
            let progress = progress(&object);
            let Some(restart) = restart.filter(|_| progress == Progress::Done) else {
                return Ok(progress);
            };
            // Pods carry the template's annotation: a pod without it was created before the restart.
            let pods = self.owned_pods(&object).await?;
            let old = pods.iter().filter(|pod| is_old(pod, restart)).count();
            match old {
                0 => return Ok(Progress::Done),
                _ if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                _ => {
                    let why = format!("{old} of {} pods are older than the restart", pods.len());
                    return Ok(Progress::Waiting(why));
                }
            }
        }
    }

    /// Waits as [`wait_rollout`](Self::wait_rollout) for each of these, and returns the first that is not done in time.
    ///
    /// Those of one namespace are read together, so a proof of many that are done asks for a few lists.
    ///
    /// # Errors
    /// Those of `wait_rollout`, of any of them.
    #[boxed]
    pub async fn wait_rollouts(
        &self,
        rollouts: &[Rollout],
        patience: Duration,
    ) -> Result<Option<(Named, Progress)>, Failure> {
        let deadline = Instant::now() + patience;
        let mut by_namespace: BTreeMap<&str, Vec<&Rollout>> = BTreeMap::new();
        for rollout in rollouts {
            let of = by_namespace.entry(&rollout.workload.namespace);
            of.or_default().push(rollout);
        }
        for of_namespace in by_namespace.into_values() {
            for Rollout { workload, restart } in self.unfinished(of_namespace).await? {
                let left = deadline.saturating_duration_since(Instant::now());
                match self
                    .wait_rollout(workload, restart.as_deref(), left)
                    .await?
                {
                    Progress::Done => {}
                    progress => return Ok(Some((workload.clone(), progress))),
                }
            }
        }
        Ok(None)
    }

    /// Returns those rollouts of one namespace that its lists don't show as done.
    async fn unfinished<'a>(
        &self,
        rollouts: Vec<&'a Rollout>,
    ) -> Result<Vec<&'a Rollout>, Failure> {
        let kinds: BTreeSet<&str> = rollouts.iter().map(|r| r.workload.kind.as_str()).collect();
        // Each has one request for itself and one for its pods.
        if rollouts.len() * 2 <= kinds.len() + 1 {
            return Ok(rollouts);
        }
        for one in &rollouts {
            self.check_workload(&one.workload).await?;
        }
        let selection = Selection {
            namespace: rollouts[0].workload.namespace.clone(),
            labels: None,
            fields: None,
        };
        let mut objects = BTreeMap::new();
        for kind in kinds {
            for object in self.list(kind, &selection).await? {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                objects.insert((kind, name.to_owned()), object);
            }
        }
        // After the workloads: a pod that is created later is newer than they are.
        let pods = if rollouts.iter().any(|one| one.restart.is_some()) {
            self.list("pods", &selection).await?
        } else {
            Vec::new()
        };
        let is_done = |one: &&Rollout| {
            let (kind, name) = (one.workload.kind.as_str(), one.workload.name.clone());
            let Some(object) = objects.get(&(kind, name)) else {
                return false;
            };
            let is_restarted = |at: &String| {
                let mut own = pods
                    .iter()
                    .filter(|pod| is_of(pod, object) && is_alive(pod));
                taken_back(object, at).is_none() && !own.any(|pod| is_old(pod, at))
            };
            progress(object) == Progress::Done && one.restart.as_ref().is_none_or(is_restarted)
        };
        Ok(rollouts.into_iter().filter(|one| !is_done(one)).collect())
    }

    async fn watch_rollout(
        &self,
        workload: &Named,
        restart: Option<&str>,
        patience: Duration,
    ) -> Result<Json, Failure> {
        let (is_first, is_stale) = (AtomicBool::new(true), AtomicBool::new(false));
        let is_over = |found: Option<&Json>| {
            let Some(object) = found else { return true };
            let is_first = is_first.swap(false, Ordering::Relaxed);
            match progress(object) {
                _ if restart.is_some_and(|at| taken_back(object, at).is_some()) => true,
                Progress::Waiting(_) => {
                    is_stale.store(false, Ordering::Relaxed);
                    false
                }
                Progress::Failed(_) => {
                    is_stale.fetch_or(is_first, Ordering::Relaxed);
                    !is_stale.load(Ordering::Relaxed)
                }
                Progress::Done | Progress::Hindered(..) => true,
            }
        };
        let about = self.about("wait for", workload, false);
        let watched = self.watch_with(Watching::Together, workload, patience, is_over);
        let Some(object) = watched.await? else {
            return Err(about.failure(FailureClass::Rejected, "NotFound", "it is not there"));
        };
        match restart.and_then(|at| taken_back(&object, at)) {
            Some(why) => Err(about
                .failure(FailureClass::Rejected, "RestartUndone", why)
                .with_hint("keep what manages this workload (GitOps, Helm, an operator) from writing its pod template, then run the step again with `windlass resume --redo STEP`")),
            None => Ok(object),
        }
    }

    /// Explains why a rollout does not end: its pods that are not ready, and the warnings about them.
    #[boxed]
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
                version: None,
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

    /// Lists the Deployments, StatefulSets and DaemonSets of a selection.
    #[boxed]
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
                version: None,
                namespace: text(object, "namespace"),
                name: text(object, "name"),
            }));
        }
        Ok(workloads)
    }

    /// Lists the pods that a workload selects, ordered by name.
    #[boxed]
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
        self.check_workload(workload).await?;
        self.get(workload).await
    }

    /// Returns the pods of a workload that run or are about to run, without those that are being deleted or have ended.
    #[boxed]
    pub(super) async fn owned_pods(&self, object: &Json) -> Result<Vec<Json>, Failure> {
        let selection = Selection {
            namespace: object["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            labels: Some(selector(&object["spec"]["selector"])),
            fields: None,
        };
        let mut pods = self.list("pods", &selection).await?;
        pods.retain(|pod| is_of(pod, object) && is_alive(pod));
        Ok(pods)
    }

    async fn check_workload(&self, workload: &Named) -> Result<(), Failure> {
        let resource = self.resource(&workload.kind).await?;
        if !resource.is_workload() {
            let about = self.about("look at", workload, false);
            let why =
                format!("a {resource} has no rollout; a deployment, statefulset or daemonset has");
            return Err(about.failure(FailureClass::Rejected, "NoWorkload", why));
        }
        Ok(())
    }

    /// Lists recent events of an object, newest first.
    #[boxed]
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

/// Says whether a pod was created before a restart, or has no restart.
pub(super) fn is_old(pod: &Json, restart: &str) -> bool {
    restarted_at(pod) != Some(restart)
}

/// Says whether a pod belongs to this workload, and not to another one with an overlapping selector.
fn is_of(pod: &Json, workload: &Json) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let owner = owners
        .into_iter()
        .flatten()
        .find(|o| o["controller"] == true);
    let Some(owner) = owner else { return false };
    if workload["kind"] != "Deployment" {
        return owner["uid"] == workload["metadata"]["uid"];
    }
    // The deployment controller names its ReplicaSets in this way.
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let hash = text(&pod["metadata"]["labels"]["pod-template-hash"]);
    owner["kind"] == "ReplicaSet"
        && text(&owner["name"]) == format!("{}-{hash}", text(&workload["metadata"]["name"]))
}

fn is_alive(pod: &Json) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
}

/// Returns a label selector in the form of a list request.
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

pub(super) fn pod_state(pod: &Json) -> PodState {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let status = &pod["status"];
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let is_ready = conditions().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let containers: Vec<_> = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|key| status[key].as_array().into_iter().flatten())
        .collect();
    // A waiting container is the best explanation, then one that has ended, then what keeps the pod from a node.
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
