use serde_json::{Value as Json, json};

use super::{event::Tone, pod, pod::NewPod, world::World};
use crate::{
    object::{child, name, number, suffix, text},
    wire::Failure,
};

const RESOURCE: &str = "replicasets.apps";
const COMPONENT: &str = "replicaset-controller";

/// Creates or removes pods until their number is right, and updates the status.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    let mut set = before.clone();
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
        world.tx.remove("pods", &gone)?;
        world.event(
            RESOURCE,
            &set,
            (COMPONENT, Tone::Normal),
            "SuccessfulDelete",
            &message,
        )?;
    }
    for _ in pods.len()..wanted {
        let own = format!("{}-{}", name(&set), suffix());
        let is_made = pod::create(
            world,
            &NewPod {
                resource: RESOURCE,
                owner: &set,
                template: &set["spec"]["template"],
                name: own.clone(),
                labels: &[],
                node: None,
            },
        )?;
        if !is_made {
            break;
        }
        let message = format!("Created pod: {own}");
        world.event(
            RESOURCE,
            &set,
            (COMPONENT, Tone::Normal),
            "SuccessfulCreate",
            &message,
        )?;
    }
    let pods = world.pods(&set)?;
    let least = number(&set, "/spec/minReadySeconds").unwrap_or_default();
    let mut available = 0;
    for pod in &pods {
        match pod::available(pod, least, world.now) {
            Ok(()) => available += 1,
            Err(Some(at)) => world.wake(RESOURCE, &set, at - world.now)?,
            Err(None) => {}
        }
    }
    let ready = pods.iter().filter(|pod| pod::is_ready(pod)).count();
    let generation = set["metadata"]["generation"].clone();
    let mut status = json!({
        "replicas": pods.len(),
        "observedGeneration": generation,
    });
    for (field, count) in [
        ("fullyLabeledReplicas", pods.len()),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    *child(&mut set, "status") = status.as_object().cloned().unwrap_or_default();
    if world.update(RESOURCE, &before, &mut set)? {
        world.wake_owner(&set)?;
    }
    Ok(())
}
