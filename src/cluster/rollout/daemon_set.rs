//! DaemonSets: a pod on every matching node. At most as many pods are replaced at a time as may be unavailable.

use serde_json::{Value as Json, json};

use super::{
    adopt::adopt,
    pod::{self, Keeper, NewPod},
    revision::{self, Revision},
    share::share,
    world::World,
};
use crate::{
    object::{name, number, suffix, text},
    wire::Failure,
};

const RESOURCE: &str = "daemonsets.apps";
const KEEPER: Keeper = Keeper {
    resource: RESOURCE,
    component: "daemonset-controller",
};
const HASH: &str = "controller-revision-hash";

/// Advances a DaemonSet by one step.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    let mut set = before.clone();
    adopt(world, "pods", (RESOURCE, &set), |_| true)?;
    let (update, _) = revision::current(world, RESOURCE, &set)?;
    let nodes = pod::fitting_nodes(world, &set["spec"]["template"]["spec"])?;
    pod::unstick(world, &set, &world.pods(&set)?)?;
    replace(world, &set, &nodes, &update)?;
    place(world, &set, &nodes, &update)?;
    report(world, &mut set, &nodes, &update)?;
    world.update(RESOURCE, &before, &mut set)?;
    Ok(())
}

fn is_of(pod: &Json, revision: &Revision) -> bool {
    pod["metadata"]["labels"][HASH] == revision.hash.as_str()
}

fn on<'a>(pods: &'a [Json], node: &str) -> Vec<&'a Json> {
    let here = |pod: &&Json| text(pod, "/spec/nodeName") == Some(node);
    pods.iter().filter(here).collect()
}

/// Removes pods of an old template, and pods on nodes that do not match.
fn replace(world: &World, set: &Json, nodes: &[String], update: &Revision) -> Result<(), Failure> {
    let pods = world.pods(set)?;
    for pod in &pods {
        let node = text(pod, "/spec/nodeName").unwrap_or_default();
        if !nodes.iter().any(|known| known == node) {
            remove(world, set, pod)?;
        }
    }
    let strategy = &set["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Ok(());
    }
    let wanted = i64::try_from(nodes.len()).unwrap_or_default();
    let surge = share(&strategy["rollingUpdate"]["maxSurge"], wanted, true);
    let unavailable = share(&strategy["rollingUpdate"]["maxUnavailable"], wanted, true);
    let is_up = |pod: &&Json| pod::is_ready(pod);
    let mut missing = 0;
    let mut working = Vec::new();
    for node in nodes {
        let here = on(&pods, node);
        let (new, old): (Vec<_>, Vec<_>) = here.into_iter().partition(|pod| is_of(pod, update));
        let replaced = new.iter().any(|pod| pod::is_ready(pod));
        for pod in &old {
            // A pod that is not ready serves no requests, and a pod with a ready successor is not needed.
            if replaced || !pod::is_ready(pod) {
                remove(world, set, pod)?;
            }
        }
        if !replaced {
            match old.into_iter().find(is_up) {
                Some(pod) => working.push(pod),
                None => missing += 1,
            }
        }
    }
    if surge > 0 {
        return Ok(());
    }
    let room = usize::try_from(unavailable - missing).unwrap_or_default();
    for pod in working.into_iter().take(room) {
        remove(world, set, pod)?;
    }
    Ok(())
}

/// Creates the pods that are missing, and those that a surge runs next to the pods they replace.
fn place(world: &World, set: &Json, nodes: &[String], update: &Revision) -> Result<(), Failure> {
    let pods = world.pods(set)?;
    let wanted = i64::try_from(nodes.len()).unwrap_or_default();
    let rolling = &set["spec"]["updateStrategy"]["rollingUpdate"];
    let mut surge = share(&rolling["maxSurge"], wanted, true);
    surge -= nodes
        .iter()
        .filter(|node| on(&pods, node).len() > 1)
        .count() as i64;
    for node in nodes {
        let here = on(&pods, node);
        let beside = here.len() == 1 && !is_of(here[0], update) && surge > 0;
        if here.is_empty() || beside {
            surge -= i64::from(beside);
            make(world, set, update, node)?;
        }
    }
    Ok(())
}

fn make(world: &World, set: &Json, update: &Revision, node: &str) -> Result<(), Failure> {
    let own = format!("{}-{}", name(set), suffix());
    let generation = number(set, "/metadata/generation").unwrap_or(1).to_string();
    let labels = [
        (HASH, update.hash.as_str()),
        ("pod-template-generation", generation.as_str()),
    ];
    let message = format!("Created pod: {own}");
    let new = NewPod {
        owner: set,
        template: &update.template,
        name: own,
        labels: &labels,
        node: Some(node),
    };
    KEEPER.make(world, &new, &message).map(drop)
}

fn remove(world: &World, set: &Json, pod: &Json) -> Result<(), Failure> {
    let message = format!("Deleted pod: {}", name(pod));
    KEEPER.remove(world, set, pod, &message)
}

fn report(
    world: &World,
    set: &mut Json,
    nodes: &[String],
    update: &Revision,
) -> Result<(), Failure> {
    let pods = world.pods(set)?;
    KEEPER.await_available(world, set, &pods)?;
    let count = |fits: &dyn Fn(&Json) -> bool| {
        let with = |node: &&String| on(&pods, node).into_iter().any(fits);
        nodes.iter().filter(with).count()
    };
    let available = count(&|pod| pod::is_available(world, set, pod));
    let status = json!({
        "currentNumberScheduled": count(&|_| true),
        "desiredNumberScheduled": nodes.len(),
        "numberMisscheduled": 0,
        "numberReady": count(&pod::is_ready),
        "observedGeneration": set["metadata"]["generation"],
    });
    let counts = [
        ("numberAvailable", available),
        ("numberUnavailable", nodes.len() - available),
        ("updatedNumberScheduled", count(&|pod| is_of(pod, update))),
    ];
    pod::put_status(set, status, &counts);
    Ok(())
}
