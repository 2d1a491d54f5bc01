//! PodDisruptionBudgets: how many of their pods may be disrupted at present.
//!
//! From "Specifying a Disruption Budget for your Application" (Kubernetes documentation) and
//! `pkg/controller/disruption/disruption.go`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{pod, share::share};
use crate::{
    api::selector_matches,
    object::{Moment, items, name, namespace, number, text, timestamp},
    store::Transaction,
    wire::Failure,
};

const RESOURCE: &str = "poddisruptionbudgets.policy";

/// Updates the status of every budget to the present state of its pods.
pub(super) fn sync(tx: &Transaction, now: Moment) -> Result<(), Failure> {
    for before in tx.list(RESOURCE, None)? {
        let mut budget = before.clone();
        budget["status"] = status(tx, &budget)?;
        budget["status"]["conditions"] = json!([condition(&before, &budget, now)]);
        if budget != before {
            tx.put(RESOURCE, &mut budget)?;
        }
    }
    Ok(())
}

/// Returns the condition that tells whether a disruption is allowed. The transition time changes only with the status.
fn condition(before: &Json, budget: &Json, now: Moment) -> Json {
    let allowed = number(budget, "/status/disruptionsAllowed").unwrap_or_default() > 0;
    let (status, reason) = if allowed {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    let last = &before["status"]["conditions"][0];
    let since = if last["status"] == status {
        last["lastTransitionTime"].clone()
    } else {
        timestamp(now).into()
    };
    json!({
        "type": "DisruptionAllowed",
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": since,
        "observedGeneration": budget["metadata"]["generation"],
    })
}

/// Computes the status of a budget, without its conditions.
pub(crate) fn status(tx: &Transaction, budget: &Json) -> Result<Json, Failure> {
    let spec = &budget["spec"];
    let mut pods = tx.list("pods", Some(namespace(budget)))?;
    pods.retain(|pod| {
        spec["selector"].is_object()
            && selector_matches(&spec["selector"], &pod["metadata"]["labels"])
            && !matches!(text(pod, "/status/phase"), Some("Succeeded" | "Failed"))
    });
    let there = count(pods.len());
    let scale = scale(tx, &pods)?;
    let (expected, wanted) = match (&spec["maxUnavailable"], &spec["minAvailable"]) {
        (Json::Null, Json::Null) => (there, there),
        (Json::Null, Json::Number(least)) => (there, least.as_i64().unwrap_or_default()),
        (Json::Null, least) => (scale, share(least, scale, true)),
        (most, _) => (scale, (scale - share(most, scale, true)).max(0)),
    };
    let is_up =
        |pod: &&Json| pod::is_ready(pod) && text(pod, "/metadata/deletionTimestamp").is_none();
    let healthy = count(pods.iter().filter(is_up).count());
    let allowed = if expected > 0 {
        (healthy - wanted).max(0)
    } else {
        0
    };
    Ok(json!({
        "currentHealthy": healthy,
        "desiredHealthy": wanted,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"]["generation"],
    }))
}

/// Returns how many pods the controllers of these pods want. A DaemonSet can't be scaled, so it counts as zero.
fn scale(tx: &Transaction, pods: &[Json]) -> Result<i64, Failure> {
    let mut scales = BTreeMap::new();
    for pod in pods {
        let mut top = None;
        let mut owner = controller(tx, pod)?;
        while let Some(found) = owner {
            owner = controller(tx, &found)?;
            top = Some(found);
        }
        if let Some(top) = top {
            let kind = text(&top, "/kind").unwrap_or_default().to_owned();
            let wanted = number(&top, "/spec/replicas").unwrap_or_default();
            scales.insert((kind, name(&top).to_owned()), wanted);
        }
    }
    Ok(scales.values().sum())
}

fn controller(tx: &Transaction, object: &Json) -> Result<Option<Json>, Failure> {
    let mut owners = items(object, "/metadata/ownerReferences").iter();
    let Some(owner) = owners.find(|owner| owner["controller"] == true) else {
        return Ok(None);
    };
    let kind = text(owner, "/kind").unwrap_or_default().to_lowercase();
    let name = text(owner, "/name").unwrap_or_default();
    tx.get(&format!("{kind}s.apps"), namespace(object), name)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
