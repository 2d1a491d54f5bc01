//! Reads the progress of a workload's rollout as `kubectl rollout status` does.

use serde_json::Value as Json;

/// The annotation that kubectl uses; the `kube` crate uses another one, which kubectl would not know.
pub(super) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// The progress of a rollout, according to the workload's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every pod is new and available, and no old one is left.
    Done,
    /// It continues; says what is still missing.
    Waiting(String),
    /// The cluster has stopped trying for now.
    Failed(String),
    /// Old pods stay because of the workload's settings, and waiting changes nothing.
    Hindered(Hindrance, String),
}

/// The reason why a workload does not replace all of its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// `spec.paused` of a Deployment.
    Paused,
    /// The update strategy `OnDelete`: a pod is replaced when something else deletes it.
    OnDelete,
    /// `rollingUpdate.partition` of a StatefulSet: pods below it keep the old revision, even when they are deleted.
    Partitioned,
}

impl Hindrance {
    /// Reads it from a workload's spec.
    pub(super) fn of(object: &Json) -> Option<Self> {
        let strategy = &object["spec"]["updateStrategy"];
        let number = |pointer: &str| object.pointer(pointer).and_then(Json::as_i64);
        match object["kind"].as_str() {
            Some("Deployment") => {
                (object["spec"]["paused"] == Json::Bool(true)).then_some(Self::Paused)
            }
            _ if strategy["type"] == "OnDelete" => Some(Self::OnDelete),
            Some("StatefulSet") => {
                let partition = number("/spec/updateStrategy/rollingUpdate/partition");
                let first = number("/spec/ordinals/start").unwrap_or(0);
                (partition.unwrap_or(0) > first).then_some(Self::Partitioned)
            }
            _ => None,
        }
    }

    /// Returns the code of the failure.
    pub fn code(self) -> &'static str {
        match self {
            Self::Paused => "Paused",
            Self::OnDelete => "OnDelete",
            Self::Partitioned => "Partitioned",
        }
    }

    pub fn hint(self) -> &'static str {
        match self {
            Self::Paused => "run `kubectl rollout resume` first",
            Self::OnDelete => {
                "restart it with `on_delete: true`, which evicts its old pods one at a time, or delete them yourself"
            }
            Self::Partitioned => {
                "set `spec.updateStrategy.rollingUpdate.partition` to 0 first: pods below the partition keep the old revision, also when they are deleted"
            }
        }
    }

    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Paused => "its rollout is paused",
            Self::OnDelete => "its update strategy is OnDelete, which replaces no pod by itself",
            Self::Partitioned => "its update strategy has a partition, below which pods stay old",
        }
    }
}

/// Reads the status of a Deployment, StatefulSet or DaemonSet.
///
/// From "Deployments", "StatefulSets" and "DaemonSets" (Kubernetes documentation) and from
/// kubectl's rollout status viewers.
pub(super) fn progress(object: &Json) -> Progress {
    let number = |pointer: &str| object.pointer(pointer).and_then(Json::as_i64);
    let status = |key: &str| number(&format!("/status/{key}")).unwrap_or(0);
    if status("observedGeneration") < number("/metadata/generation").unwrap_or(0) {
        return Progress::Waiting("the change has not been seen yet".into());
    }
    match object["kind"].as_str() {
        Some("DaemonSet") => daemon_set(object, status),
        Some("StatefulSet") => stateful_set(object, number("/spec/replicas").unwrap_or(1), status),
        _ => deployment(object, number("/spec/replicas").unwrap_or(1), status),
    }
}

/// Returns the time of the restart in a workload's template, or in a pod.
pub(super) fn restarted_at(template: &Json) -> Option<&str> {
    template["metadata"]["annotations"][RESTARTED_AT].as_str()
}

/// Explains why a restart is no longer in the workload's template.
pub(super) fn taken_back(object: &Json, restart: &str) -> Option<String> {
    match restarted_at(&object["spec"]["template"]) {
        Some(at) if at == restart => None,
        Some(at) => Some(format!(
            "the restart of {restart} was replaced: `{RESTARTED_AT}` of its pod template is now {at}{}",
            owner(object)
        )),
        // Kubernetes does not record who removed it.
        None => Some(format!(
            "the restart of {restart} was reverted: `{RESTARTED_AT}` is gone from its pod template"
        )),
    }
}

/// Names the manager that owns the annotation.
fn owner(object: &Json) -> String {
    let entries = object["metadata"]["managedFields"].as_array();
    let owns = |entry: &&Json| {
        let annotations = &entry["fieldsV1"]["f:spec"]["f:template"]["f:metadata"]["f:annotations"];
        annotations[format!("f:{RESTARTED_AT}")].is_object()
    };
    let found = entries.into_iter().flatten().find(owns);
    match found.and_then(|entry| entry["manager"].as_str()) {
        Some(manager) => format!(" (by {manager:?})"),
        None => String::new(),
    }
}

fn deployment(object: &Json, wanted: i64, status: impl Fn(&str) -> i64) -> Progress {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Json::as_array);
    let stuck = conditions.into_iter().flatten().find(|condition| {
        condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
    });
    if let Some(condition) = stuck {
        let message = condition["message"]
            .as_str()
            .unwrap_or("it made no progress in time");
        return Progress::Failed(message.into());
    }
    let (updated, all) = (status("updatedReplicas"), status("replicas"));
    let available = status("availableReplicas");
    if let Some(paused) = Hindrance::of(object).filter(|_| updated < wanted || all > updated) {
        return hindered(paused, all - updated, all.max(wanted));
    }
    if updated < wanted {
        return Progress::Waiting(format!("{updated} of {wanted} pods are new"));
    }
    if all > updated {
        return Progress::Waiting(format!("{} old pods are still there", all - updated));
    }
    if available < updated {
        return Progress::Waiting(format!("{available} of {updated} new pods are available"));
    }
    Progress::Done
}

fn stateful_set(object: &Json, wanted: i64, status: impl Fn(&str) -> i64) -> Progress {
    let (updated, all) = (status("updatedReplicas"), status("replicas"));
    let (ready, available) = (status("readyReplicas"), status("availableReplicas"));
    let revision = |key: &str| object["status"][key].as_str().unwrap_or_default();
    let hindrance = Hindrance::of(object);
    let old = all - updated;
    match hindrance {
        Some(Hindrance::OnDelete) if old > 0 => return hindered(Hindrance::OnDelete, old, all),
        // The pods above the partition come first.
        Some(partitioned) if old > 0 && above_partition(object, wanted) <= updated => {
            return hindered(partitioned, old, all);
        }
        _ => {}
    }
    if updated < wanted {
        return Progress::Waiting(format!("{updated} of {wanted} pods are new"));
    }
    if ready < wanted {
        return Progress::Waiting(format!("{ready} of {wanted} pods are ready"));
    }
    // Without a minimum time, ready is enough; API servers before 1.22 do not count the available pods.
    let least = object["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    if least > 0 && available < wanted {
        return Progress::Waiting(format!("{available} of {wanted} pods are available"));
    }
    // The controller updates the current revision only for rolling updates.
    if hindrance.is_none() && revision("updateRevision") != revision("currentRevision") {
        return Progress::Waiting("the new revision is not the current one yet".into());
    }
    Progress::Done
}

/// Returns how many pods of a StatefulSet its rolling update replaces.
fn above_partition(object: &Json, wanted: i64) -> i64 {
    let number = |pointer: &str| object.pointer(pointer).and_then(Json::as_i64);
    let partition = number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let first = number("/spec/ordinals/start").unwrap_or(0);
    (wanted - (partition - first).max(0)).max(0)
}

fn daemon_set(object: &Json, status: impl Fn(&str) -> i64) -> Progress {
    let wanted = status("desiredNumberScheduled");
    let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
    let there = status("currentNumberScheduled");
    if let Some(hindrance) = Hindrance::of(object).filter(|_| there > updated) {
        return hindered(hindrance, there - updated, there);
    }
    if updated < wanted {
        return Progress::Waiting(format!("{updated} of {wanted} pods are new"));
    }
    if available < wanted {
        return Progress::Waiting(format!("{available} of {wanted} pods are available"));
    }
    Progress::Done
}

fn hindered(hindrance: Hindrance, old: i64, all: i64) -> Progress {
    let why = hindrance.why();
    Progress::Hindered(hindrance, format!("{why}: {old} of {all} pods are old"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(generation: i64, status: Json) -> Json {
        json!({ "kind": "Deployment", "metadata": { "generation": generation }, "spec": { "replicas": 2 }, "status": status })
    }

    #[test]
    fn a_deployment_is_done_when_all_pods_are_new_and_no_old_one_is_left() {
        let is = |status: Json| progress(&deployment(2, status));
        let done = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 });
        assert_eq!(is(done.clone()), Progress::Done);
        for (key, value) in [
            ("observedGeneration", 1),
            ("replicas", 3),
            ("updatedReplicas", 1),
            ("availableReplicas", 1),
        ] {
            let mut status = done.clone();
            status[key] = value.into();
            assert!(matches!(is(status), Progress::Waiting(_)), "{key}");
        }
    }

    #[test]
    fn a_deadline_that_passed_is_a_failure() {
        let status = json!({ "observedGeneration": 2, "conditions": [
            { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out" } ] });
        assert_eq!(
            progress(&deployment(2, status)),
            Progress::Failed("timed out".into())
        );
    }

    #[test]
    fn the_other_kinds_count_other_fields() {
        let daemon = |available: i64| {
            json!({ "kind": "DaemonSet", "metadata": { "generation": 1 }, "status": {
                "observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": available } })
        };
        assert_eq!(progress(&daemon(3)), Progress::Done);
        assert!(matches!(progress(&daemon(2)), Progress::Waiting(_)));
        let stateful = |current: &str| {
            json!({ "kind": "StatefulSet", "metadata": { "generation": 1 }, "spec": { "replicas": 1 }, "status": {
                "observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1, "currentRevision": current, "updateRevision": "b" } })
        };
        assert_eq!(progress(&stateful("b")), Progress::Done);
        assert!(matches!(progress(&stateful("a")), Progress::Waiting(_)));
    }

    fn stateful_set(strategy: Json, updated: i64) -> Json {
        json!({ "kind": "StatefulSet", "metadata": { "generation": 2 },
            "spec": { "replicas": 3, "updateStrategy": strategy },
            "status": { "observedGeneration": 2, "replicas": 3, "updatedReplicas": updated, "readyReplicas": 3,
                "currentRevision": "a", "updateRevision": "b" } })
    }

    #[test]
    fn a2_old_pods_below_a_partition_are_no_rollout() {
        let partitioned = |partition: i64, updated: i64| {
            let strategy =
                json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": partition } });
            progress(&stateful_set(strategy, updated))
        };
        let is_hindered = |p| matches!(p, Progress::Hindered(Hindrance::Partitioned, _));
        assert!(is_hindered(partitioned(1, 2)));
        assert!(is_hindered(partitioned(3, 0)));
        assert!(matches!(partitioned(1, 1), Progress::Waiting(_)));
        assert!(matches!(partitioned(0, 2), Progress::Waiting(_)));
    }

    #[test]
    fn a2_on_delete_is_done_once_every_pod_is_new() {
        let on_delete = |updated| progress(&stateful_set(json!({ "type": "OnDelete" }), updated));
        assert_eq!(on_delete(3), Progress::Done);
        let Progress::Hindered(Hindrance::OnDelete, why) = on_delete(2) else {
            panic!("{:?}", on_delete(2));
        };
        assert!(why.ends_with("1 of 3 pods are old"), "{why}");
    }

    #[test]
    fn a2_a_paused_deployment_says_so() {
        let mut paused = deployment(2, json!({ "observedGeneration": 2, "replicas": 2 }));
        paused["spec"]["paused"] = true.into();
        let Progress::Hindered(Hindrance::Paused, why) = progress(&paused) else {
            panic!("{:?}", progress(&paused));
        };
        assert_eq!(why, "its rollout is paused: 2 of 2 pods are old");
    }

    #[test]
    fn a2_a_restart_that_was_replaced_names_who_did_it() {
        let of = |at: Json| {
            json!({
                "metadata": { "managedFields": [{ "manager": "argocd", "fieldsV1": { "f:spec": { "f:template": {
                    "f:metadata": { "f:annotations": { "f:kubectl.kubernetes.io/restartedAt": {} } } } } } }] },
                "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: at } } } },
            })
        };
        let replaced = taken_back(&of("y".into()), "x").expect("it is another");
        assert!(replaced.ends_with("now y (by \"argocd\")"), "{replaced}");
        let gone = taken_back(&of(Json::Null), "x").expect("it is gone");
        assert!(gone.contains("reverted"), "{gone}");
        assert_eq!(taken_back(&of("x".into()), "x"), None);
    }
}
