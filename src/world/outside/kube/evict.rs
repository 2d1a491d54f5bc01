//! Replaces the pods of a workload that does not replace them itself, one at a time, through the eviction API.

use std::{cmp::Reverse, time::Duration};

use http::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use windlass_ground::boxed;

use super::{
    client::KubeClient,
    request::path,
    resource::Named,
    rollout::{Hindrance, taken_back},
    watch::{PAUSE, is_passing},
    workload::{is_old, pod_state},
};
use crate::value::{Failure, FailureClass};

/// The next action while old pods are replaced one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// No pod is older than the restart.
    Done,
    /// This pod is old, and all pods that were replaced before it are available.
    Evict { pod: String, uid: String },
    /// Says what is still missing before the next pod may go.
    Waiting(String),
}

impl KubeClient {
    /// Returns which pod of a restarted workload to evict next; waits up to this long while a replaced pod is not available
    /// yet.
    ///
    /// # Errors
    /// `RestartUndone` if the pod template no longer has the restart's time.
    #[boxed]
    pub async fn next_to_evict(
        &self,
        workload: &Named,
        restart: &str,
        patience: Duration,
    ) -> Result<Next, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            let next = match self.look_for_old(workload, restart).await {
                Err(failure) if is_passing(&failure) => Next::Waiting(failure.message),
                other => other?,
            };
            match next {
                Next::Waiting(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                next => return Ok(next),
            }
        }
    }

    async fn look_for_old(&self, workload: &Named, restart: &str) -> Result<Next, Failure> {
        let client = self.with_patience(Duration::ZERO);
        let object = client.get(workload).await?;
        if let Some(why) = taken_back(&object, restart) {
            let about = self.about("replace the pods of", workload, false);
            return Err(about.failure(FailureClass::Rejected, "RestartUndone", why));
        }
        // A rolling update replaces the workload's pods.
        if Hindrance::of(&object) != Some(Hindrance::OnDelete) {
            return Ok(Next::Done);
        }
        let pods = client.owned_pods(&object).await?;
        Ok(next(&object, &pods, restart))
    }

    /// Evicts a pod, only if it still has this uid; returns the reason if a PodDisruptionBudget does not allow it yet. A pod that
    /// does not exist counts as evicted.
    #[boxed]
    pub async fn evict(&self, pod: &Named, uid: &str) -> Result<Option<String>, Failure> {
        let resource = self.resource(&pod.kind).await?;
        let about = self.about("evict", pod, true).repeatable();
        let path = format!("{}/eviction", path(&resource, pod, &about)?);
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": { "name": pod.name, "namespace": pod.namespace },
            "deleteOptions": { "preconditions": { "uid": uid } },
        });
        let body = Some(("application/json", &eviction));
        match self.send(&about, Method::POST, &path, &[], body).await {
            Ok(_) => Ok(None),
            Err(failure) if failure.code == "DisruptionBudget" => Ok(Some(failure.message)),
            // A new pod of the same name exists.
            Err(f) if matches!(f.code.as_str(), "NotFound" | "Conflict") => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Decides which pod is next.
fn next(object: &Json, pods: &[Json], restart: &str) -> Next {
    let number = |pointer: &str| object.pointer(pointer).and_then(Json::as_i64);
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Next::Waiting("the change has not been seen yet".into());
    }
    let (old, new): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| is_old(pod, restart));
    if let Some(pod) = new.into_iter().map(pod_state).find(|pod| !pod.is_ready) {
        let reason = pod.reason.unwrap_or(pod.phase);
        return Next::Waiting(format!("the new pod {} is not ready: {reason}", pod.name));
    }
    let mut old: Vec<_> = old
        .into_iter()
        .map(|pod| (pod_state(pod), &pod["metadata"]["uid"]))
        .collect();
    let (wanted, available) = match object["kind"].as_str() {
        Some("DaemonSet") => ("/status/desiredNumberScheduled", "/status/numberAvailable"),
        _ => ("/spec/replicas", "/status/availableReplicas"),
    };
    let wanted = number(wanted).unwrap_or(1);
    let there = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    if there < wanted {
        return Next::Waiting(format!("{there} of {wanted} pods are there"));
    }
    let broken = old.iter().filter(|(pod, _)| !pod.is_ready).count();
    let expected = wanted - i64::try_from(broken).unwrap_or(i64::MAX);
    let available = number(available).unwrap_or(0);
    if number("/spec/minReadySeconds").unwrap_or(0) > 0 && available < expected {
        return Next::Waiting(format!("{available} of {expected} pods are available"));
    }
    // Pods that do not work come first, then the highest ordinal, as in a rolling update.
    old.sort_by_key(|(pod, _)| (pod.is_ready, Reverse(ordinal(&pod.name))));
    match old.into_iter().next() {
        None => Next::Done,
        Some((pod, uid)) => Next::Evict {
            pod: pod.name,
            uid: uid.as_str().unwrap_or_default().to_owned(),
        },
    }
}

fn ordinal(pod: &str) -> Option<u64> {
    pod.rsplit('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, restart: &str, is_ready: bool) -> Json {
        let ready = if is_ready { "True" } else { "False" };
        json!({
            "metadata": { "name": name, "uid": format!("uid-{name}"), "annotations": {
                "kubectl.kubernetes.io/restartedAt": restart } },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": ready, "reason": "X" }] },
        })
    }

    fn set() -> Json {
        json!({ "kind": "StatefulSet", "metadata": { "generation": 2 }, "spec": { "replicas": 2 },
            "status": { "observedGeneration": 2 } })
    }

    fn evicts(pods: &[Json]) -> Option<String> {
        match next(&set(), pods, "now") {
            Next::Evict { pod, .. } => Some(pod),
            _ => None,
        }
    }

    #[test]
    fn a2_the_next_pod_goes_once_the_one_before_is_back() {
        assert_eq!(
            evicts(&[pod("a-0", "x", true), pod("a-1", "x", true)]).as_deref(),
            Some("a-1")
        );
        // No eviction while the pod is missing, or before it is ready.
        assert_eq!(evicts(&[pod("a-0", "x", true)]), None);
        assert_eq!(
            evicts(&[pod("a-0", "x", true), pod("a-1", "now", false)]),
            None
        );
        assert_eq!(
            evicts(&[pod("a-0", "x", true), pod("a-1", "now", true)]).as_deref(),
            Some("a-0")
        );
        assert_eq!(
            evicts(&[pod("a-0", "x", false), pod("a-1", "x", true)]).as_deref(),
            Some("a-0")
        );
        let all = [pod("a-0", "now", true), pod("a-1", "now", true)];
        assert_eq!(next(&set(), &all, "now"), Next::Done);
    }
}
