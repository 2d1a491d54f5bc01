use serde_json::{Value as Json, json};

use super::{
    adopt::adopt,
    pod::{self, Keeper, NewPod},
    world::World,
};
use crate::{
    object::{name, number, suffix, text},
    wire::Failure,
};

const RESOURCE: &str = "replicasets.apps";
const KEEPER: Keeper = Keeper {
    resource: RESOURCE,
    component: "replicaset-controller",
};

/// Creates or removes pods until their number is right, and updates the status.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    let mut set = before.clone();
    adopt(world, "pods", (RESOURCE, &set), |_| true)?;
    let mut pods = world.pods(&set)?;
    let wanted = number(&set, "/spec/replicas").unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or_default();
    while pods.len() > wanted {
        // Pods that are not ready are removed first, then the youngest.
        pods.sort_by_key(|pod| {
            let born = text(pod, "/metadata/creationTimestamp").unwrap_or_default();
            (!pod::is_ready(pod), born.to_owned())
        });
        let Some(gone) = pods.pop() else { break };
        let message = format!("Deleted pod: {}", name(&gone));
        KEEPER.remove(world, &set, &gone, &message)?;
    }
    for _ in pods.len()..wanted {
        let own = format!("{}-{}", name(&set), suffix());
        let message = format!("Created pod: {own}");
        let new = NewPod {
            owner: &set,
            template: &set["spec"]["template"],
            name: own,
            labels: &[],
            node: None,
        };
        if !KEEPER.make(world, &new, &message)? {
            break;
        }
    }
    let pods = world.pods(&set)?;
    KEEPER.await_available(world, &set, &pods)?;
    let count = |fits: &dyn Fn(&Json) -> bool| pods.iter().filter(|pod| fits(pod)).count();
    let counts = [
        ("fullyLabeledReplicas", pods.len()),
        ("readyReplicas", count(&pod::is_ready)),
        (
            "availableReplicas",
            count(&|pod| pod::is_available(world, &set, pod)),
        ),
    ];
    let status = json!({
        "replicas": pods.len(),
        "observedGeneration": set["metadata"]["generation"],
    });
    pod::put_status(&mut set, status, &counts);
    if world.update(RESOURCE, &before, &mut set)? {
        world.wake_owner(&set)?;
    }
    Ok(())
}
