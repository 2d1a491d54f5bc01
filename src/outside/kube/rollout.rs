//! How far a workload's rollout is, as `kubectl rollout status` reads it.

use serde_json::Value as Json;

/// What a workload's status says about its rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every pod is new and available, and no old one is left.
    Done,
    /// Says what is still missing.
    Waiting(String),
    /// The cluster has given up on it, for now.
    Failed(String),
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
    if let Some(refused) = not_rolling(object) {
        return refused;
    }
    let partition = object
        .pointer("/spec/updateStrategy/rollingUpdate/partition")
        .and_then(Json::as_i64)
        .unwrap_or(0);
    let wanted_new = (wanted - partition).max(0);
    let (updated, ready) = (status("updatedReplicas"), status("readyReplicas"));
    let revision = |key: &str| object["status"][key].as_str().unwrap_or_default();
    if updated < wanted_new {
        return Progress::Waiting(format!("{updated} of {wanted_new} pods are new"));
    }
    if ready < wanted {
        return Progress::Waiting(format!("{ready} of {wanted} pods are ready"));
    }
    if partition == 0 && revision("updateRevision") != revision("currentRevision") {
        return Progress::Waiting("the new revision is not the current one yet".into());
    }
    Progress::Done
}

fn daemon_set(object: &Json, status: impl Fn(&str) -> i64) -> Progress {
    if let Some(refused) = not_rolling(object) {
        return refused;
    }
    let wanted = status("desiredNumberScheduled");
    let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
    if updated < wanted {
        return Progress::Waiting(format!("{updated} of {wanted} pods are new"));
    }
    if available < wanted {
        return Progress::Waiting(format!("{available} of {wanted} pods are available"));
    }
    Progress::Done
}

/// With `OnDelete` nothing is replaced by itself, so waiting would never end.
fn not_rolling(object: &Json) -> Option<Progress> {
    let strategy = object
        .pointer("/spec/updateStrategy/type")
        .and_then(Json::as_str);
    (strategy == Some("OnDelete")).then(|| {
        Progress::Failed("its update strategy is OnDelete: it replaces no pod by itself".into())
    })
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
}
