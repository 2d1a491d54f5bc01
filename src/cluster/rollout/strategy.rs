//! The arithmetic of the deployment controller: how many pods each ReplicaSet should have next. Pure functions.

use serde_json::Value as Json;

use super::share::share;
use crate::object::number;

/// A new size for a ReplicaSet: the newest, or an old one by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scaling {
    pub old: Option<usize>,
    pub to: i64,
}

fn replicas(object: &Json) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn status(object: &Json, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or_default()
}

/// Returns by how many pods a rollout may be above and below the wanted number.
pub(super) fn limits(deployment: &Json) -> (i64, i64) {
    let strategy = &deployment["spec"]["strategy"];
    if strategy["type"] == "Recreate" {
        return (0, 0);
    }
    let rolling = &strategy["rollingUpdate"];
    let wanted = replicas(deployment);
    let surge = share(&rolling["maxSurge"], wanted, true);
    let unavailable = share(&rolling["maxUnavailable"], wanted, false).min(wanted);
    match (surge, unavailable) {
        // Rounding must not stop the rollout.
        (0, 0) => (0, 1),
        limits => limits,
    }
}

/// Returns the next step of a paused rollout, which still follows the number of replicas.
pub(super) fn scale_only(deployment: &Json, newest: &Json, old: &[Json]) -> Vec<Scaling> {
    let is_only = old.iter().all(|set| replicas(set) == 0);
    let to = replicas(deployment);
    if is_only && replicas(newest) != to {
        vec![Scaling { old: None, to }]
    } else {
        vec![]
    }
}

/// Returns the next step of a rollout, or nothing if the rollout waits or is complete.
pub(super) fn next(deployment: &Json, newest: &Json, old: &[Json]) -> Vec<Scaling> {
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        recreate(deployment, newest, old)
    } else {
        rolling(deployment, newest, old)
    }
}

fn recreate(deployment: &Json, newest: &Json, old: &[Json]) -> Vec<Scaling> {
    let shrink: Vec<_> = (0..old.len())
        .filter(|at| replicas(&old[*at]) > 0)
        .map(|at| Scaling {
            old: Some(at),
            to: 0,
        })
        .collect();
    let to = replicas(deployment);
    let all_gone = old.iter().all(|set| status(set, "replicas") == 0);
    if shrink.is_empty() && all_gone && replicas(newest) != to {
        vec![Scaling { old: None, to }]
    } else {
        shrink
    }
}

fn rolling(deployment: &Json, newest: &Json, old: &[Json]) -> Vec<Scaling> {
    let wanted = replicas(deployment);
    let (surge, unavailable) = limits(deployment);
    let own = replicas(newest);
    let total: i64 = own + old.iter().map(replicas).sum::<i64>();
    if own > wanted {
        return vec![Scaling {
            old: None,
            to: wanted,
        }];
    }
    let room = (wanted + surge - total).min(wanted - own);
    if own < wanted && room > 0 {
        return vec![Scaling {
            old: None,
            to: own + room,
        }];
    }
    let least = wanted - unavailable;
    let unready = own - status(newest, "availableReplicas");
    let mut most = total - least - unready;
    if most <= 0 {
        return vec![];
    }
    let mut sizes: Vec<i64> = old.iter().map(replicas).collect();
    // Pods that are not ready serve no requests, so they are removed first.
    for (size, set) in sizes.iter_mut().zip(old) {
        let broken = (*size - status(set, "availableReplicas")).clamp(0, most);
        *size -= broken;
        most -= broken;
    }
    let available: i64 = old
        .iter()
        .chain([newest])
        .map(|set| status(set, "availableReplicas"))
        .sum();
    let mut spare = (available - least).max(0);
    for size in &mut sizes {
        let gone = (*size).min(spare);
        *size -= gone;
        spare -= gone;
    }
    (0..old.len())
        .filter(|at| sizes[*at] != replicas(&old[*at]))
        .map(|at| Scaling {
            old: Some(at),
            to: sizes[at],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(replicas: i64, available: i64) -> Json {
        json!({
            "spec": { "replicas": replicas },
            "status": { "replicas": replicas, "availableReplicas": available },
        })
    }

    fn deployment(replicas: i64, surge: Json, unavailable: Json) -> Json {
        json!({ "spec": { "replicas": replicas, "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable },
        } } })
    }

    #[test]
    fn two_replicas_are_replaced_one_at_a_time() {
        let two = deployment(2, json!("25%"), json!("25%"));
        let newest = |to| vec![Scaling { old: None, to }];
        let old = |to| vec![Scaling { old: Some(0), to }];
        assert_eq!(next(&two, &set(0, 0), &[set(2, 2)]), newest(1));
        assert_eq!(next(&two, &set(1, 0), &[set(2, 2)]), vec![]);
        assert_eq!(next(&two, &set(1, 1), &[set(2, 2)]), old(1));
        assert_eq!(next(&two, &set(1, 1), &[set(1, 1)]), newest(2));
        assert_eq!(next(&two, &set(2, 2), &[set(1, 1)]), old(0));
        assert_eq!(next(&two, &set(2, 2), &[set(0, 0)]), vec![]);
    }

    #[test]
    fn old_pods_that_are_not_ready_are_removed_first() {
        let two = deployment(2, json!(0), json!(1));
        let step = next(&two, &set(0, 0), &[set(2, 0)]);
        assert_eq!(
            step,
            [Scaling {
                old: Some(0),
                to: 1
            }]
        );
    }
}
