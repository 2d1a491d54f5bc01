//! StatefulSets: numbered pods, created in order and replaced in reverse order, one at a time.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{
    adopt::adopt,
    pod::{self, Keeper, NewPod},
    revision::{self, Revision},
    world::World,
};
use crate::{
    object::{name, number, text},
    wire::Failure,
};

const RESOURCE: &str = "statefulsets.apps";
const KEEPER: Keeper = Keeper {
    resource: RESOURCE,
    component: "statefulset-controller",
};
const HASH: &str = "controller-revision-hash";

/// Advances a StatefulSet by one step.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    let mut set = before.clone();
    adopt(world, "pods", (RESOURCE, &set), |pod| is_member(&set, pod))?;
    let (update, all) = revision::current(world, RESOURCE, &set)?;
    let current = text(&set, "/status/currentRevision")
        .unwrap_or(&update.name)
        .to_owned();
    let current = all
        .iter()
        .find(|one| one.name == current)
        .unwrap_or(&update);
    pod::unstick(world, &set, &world.pods(&set)?)?;
    step(world, &set, current, &update)?;
    report(world, &mut set, current, &update)?;
    world.update(RESOURCE, &before, &mut set)?;
    Ok(())
}

/// Returns whether a pod has a name that the set gives.
fn is_member(set: &Json, pod: &Json) -> bool {
    let of = name(pod).rsplit_once('-');
    of.is_some_and(|(of, ordinal)| of == name(set) && ordinal.parse::<u32>().is_ok())
}

fn by_ordinal(world: &World, set: &Json) -> Result<BTreeMap<i64, Json>, Failure> {
    let pods = world.pods(set)?.into_iter();
    Ok(pods
        .filter_map(|pod| Some((name(&pod).rsplit('-').next()?.parse().ok()?, pod)))
        .collect())
}

fn step(world: &World, set: &Json, current: &Revision, update: &Revision) -> Result<(), Failure> {
    let wanted = number(set, "/spec/replicas").unwrap_or(1);
    let in_order = set["spec"]["podManagementPolicy"] != "Parallel";
    let strategy = &set["spec"]["updateStrategy"];
    let partition = number(strategy, "/rollingUpdate/partition").unwrap_or_default();
    let pods = by_ordinal(world, set)?;
    for ordinal in 0..wanted {
        match pods.get(&ordinal) {
            None => {
                let revision = if ordinal < partition { current } else { update };
                make(world, set, revision, ordinal)?;
                if in_order {
                    return Ok(());
                }
            }
            Some(pod) if in_order && !pod::is_ready(pod) => return Ok(()),
            Some(_) => {}
        }
    }
    for (_, pod) in pods.iter().rev().filter(|(ordinal, _)| **ordinal >= wanted) {
        remove(world, set, pod)?;
        if in_order {
            return world.wake(RESOURCE, set, 0);
        }
    }
    if strategy["type"] == "OnDelete" {
        return Ok(());
    }
    for (_, pod) in pods.range(partition..wanted.max(partition)).rev() {
        if pod["metadata"]["labels"][HASH] != update.name.as_str() {
            remove(world, set, pod)?;
            return world.wake(RESOURCE, set, 0);
        }
        if !pod::is_ready(pod) {
            return Ok(());
        }
    }
    Ok(())
}

fn make(world: &World, set: &Json, revision: &Revision, ordinal: i64) -> Result<(), Failure> {
    let own = format!("{}-{ordinal}", name(set));
    let index = ordinal.to_string();
    let labels = [
        (HASH, revision.name.as_str()),
        ("statefulset.kubernetes.io/pod-name", own.as_str()),
        ("apps.kubernetes.io/pod-index", index.as_str()),
    ];
    let message = format!("create Pod {own} in StatefulSet {} successful", name(set));
    let new = NewPod {
        owner: set,
        template: &revision.template,
        name: own.clone(),
        labels: &labels,
        node: None,
    };
    KEEPER.make(world, &new, &message).map(drop)
}

fn remove(world: &World, set: &Json, pod: &Json) -> Result<(), Failure> {
    let message = format!(
        "delete Pod {} in StatefulSet {} successful",
        name(pod),
        name(set)
    );
    KEEPER.remove(world, set, pod, &message)
}

fn report(
    world: &World,
    set: &mut Json,
    current: &Revision,
    update: &Revision,
) -> Result<(), Failure> {
    let wanted = number(set, "/spec/replicas").unwrap_or(1);
    let wanted = usize::try_from(wanted).ok();
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    let pods = world.pods(set)?;
    let count = |fits: &dyn Fn(&Json) -> bool| pods.iter().filter(|pod| fits(pod)).count();
    let of = |revision: &Revision| {
        let own = revision.name.clone();
        move |pod: &Json| pod["metadata"]["labels"][HASH] == own.as_str()
    };
    KEEPER.await_available(world, set, &pods)?;
    let (ready, updated) = (count(&pod::is_ready), count(&of(update)));
    let available = count(&|pod| pod::is_available(world, set, pod));
    // The controller records the end of rolling updates only (`completeRollingUpdate`).
    let is_rolling = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    let is_over = is_rolling && partition == 0 && Some(updated) == wanted && Some(ready) == wanted;
    let current = if is_over { update } else { current };
    let status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": pods.len(),
        "currentRevision": current.name,
        "updateRevision": update.name,
        "collisionCount": 0,
        "availableReplicas": available,
    });
    let counts = [
        ("readyReplicas", ready),
        ("currentReplicas", count(&of(current))),
        ("updatedReplicas", updated),
    ];
    pod::put_status(set, status, &counts);
    Ok(())
}
