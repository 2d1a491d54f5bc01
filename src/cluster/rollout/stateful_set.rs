//! StatefulSets: numbered pods, created in order and replaced in reverse order, one at a time.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{
    event::Tone,
    pod::{self, NewPod},
    revision::{self, Revision},
    world::World,
};
use crate::{
    object::{child, name, number, text},
    wire::Failure,
};

const RESOURCE: &str = "statefulsets.apps";
const COMPONENT: &str = "statefulset-controller";
const HASH: &str = "controller-revision-hash";

/// Advances a StatefulSet by one step.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    let mut set = before.clone();
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
                let revision = match ordinal < partition {
                    true => current,
                    false => update,
                };
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
    let is_made = pod::create(
        world,
        &NewPod {
            resource: RESOURCE,
            owner: set,
            template: &revision.template,
            name: own.clone(),
            labels: &labels,
            node: None,
        },
    )?;
    if !is_made {
        return Ok(());
    }
    let message = format!("create Pod {own} in StatefulSet {} successful", name(set));
    world.event(
        RESOURCE,
        set,
        (COMPONENT, Tone::Normal),
        "SuccessfulCreate",
        &message,
    )
}

fn remove(world: &World, set: &Json, pod: &Json) -> Result<(), Failure> {
    world.tx.remove("pods", pod)?;
    let message = format!(
        "delete Pod {} in StatefulSet {} successful",
        name(pod),
        name(set)
    );
    world.event(
        RESOURCE,
        set,
        (COMPONENT, Tone::Normal),
        "SuccessfulDelete",
        &message,
    )
}

fn report(
    world: &World,
    set: &mut Json,
    current: &Revision,
    update: &Revision,
) -> Result<(), Failure> {
    let wanted = number(set, "/spec/replicas").unwrap_or(1);
    let least = number(set, "/spec/minReadySeconds").unwrap_or_default();
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    let pods = world.pods(set)?;
    let count = |fits: &dyn Fn(&Json) -> bool| -> i64 {
        i64::try_from(pods.iter().filter(|pod| fits(pod)).count()).unwrap_or_default()
    };
    let of = |revision: &Revision| {
        let own = revision.name.clone();
        move |pod: &Json| pod["metadata"]["labels"][HASH] == own.as_str()
    };
    for pod in &pods {
        if let Err(Some(at)) = pod::available(pod, least, world.now) {
            world.wake(RESOURCE, set, at - world.now)?;
        }
    }
    let (ready, updated) = (count(&pod::is_ready), count(&of(update)));
    let available = count(&|pod| pod::available(pod, least, world.now).is_ok());
    // The controller records the end of rolling updates only (`completeRollingUpdate`).
    let is_rolling = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    let is_over = is_rolling && partition == 0 && updated == wanted && ready == wanted;
    let current = if is_over { update } else { current };
    let generation = set["metadata"]["generation"].clone();
    let mut status = json!({
        "observedGeneration": generation,
        "replicas": pods.len(),
        "currentRevision": current.name,
        "updateRevision": update.name,
        "collisionCount": 0,
        "availableReplicas": available,
    });
    for (field, count) in [
        ("readyReplicas", ready),
        ("currentReplicas", count(&of(current))),
        ("updatedReplicas", updated),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    *child(set, "status") = status.as_object().cloned().unwrap_or_default();
    Ok(())
}
