//! Deployments: a ReplicaSet for each version of the template; the newest is scaled up while the others are scaled down.

use serde_json::{Value as Json, json};

use super::{
    adopt::adopt,
    conditions,
    event::Tone,
    pod,
    strategy::{self, Scaling},
    world::{World, owner_reference},
};
use crate::{
    object::{annotation, child, hash, metadata, name, namespace, number, text, uid},
    wire::Failure,
};

const RESOURCE: &str = "deployments.apps";
const SETS: &str = "replicasets.apps";
const COMPONENT: &str = "deployment-controller";
const HASH: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// Advances a rollout by one step.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    let mut deployment = before.clone();
    adopt(world, SETS, (RESOURCE, &deployment), |_| true)?;
    let sets = world.tx.owned(SETS, uid(&deployment))?;
    for set in &sets {
        pod::unstick(world, &deployment, &world.pods(set)?)?;
    }
    let (mut newest, mut old) = (None, Vec::new());
    for set in sets {
        if newest.is_none() && has_template(&set, &deployment["spec"]["template"]) {
            newest = Some(set)
        } else {
            old.push(set)
        }
    }
    old.sort_by_key(revision);
    let paused = deployment["spec"]["paused"] == true;
    if newest.is_none() && !paused {
        newest = Some(new_set(world, &mut deployment, &old)?);
    }
    if let Some(newest) = &mut newest {
        take_revision(world, &mut deployment, newest, &old)?;
        let scalings = if paused {
            strategy::scale_only(&deployment, newest, &old)
        } else {
            strategy::next(&deployment, newest, &old)
        };
        for scaling in scalings {
            scale(world, &deployment, scaling, newest, &mut old)?;
        }
    }
    report(world, &mut deployment, newest.as_ref(), &old)?;
    world.update(RESOURCE, &before, &mut deployment)?;
    trim_history(world, &deployment, &old)
}

fn has_template(set: &Json, template: &Json) -> bool {
    let mut own = set["spec"]["template"].clone();
    if let Some(labels) = own["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    own == *template
}

fn revision(set: &Json) -> i64 {
    annotation(set, REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn new_set(world: &World, deployment: &mut Json, old: &[Json]) -> Result<Json, Failure> {
    let template = &deployment["spec"]["template"];
    let hash = hash(template, 10);
    let mut template = template.clone();
    child(&mut template["metadata"], "labels").insert(HASH.into(), hash.as_str().into());
    let mut selector = deployment["spec"]["selector"].clone();
    child(&mut selector, "matchLabels").insert(HASH.into(), hash.as_str().into());
    let revision = old.iter().map(revision).max().unwrap_or_default() + 1;
    let mut annotations = passed_on(deployment);
    annotations[REVISION] = revision.to_string().into();
    let mut set = json!({
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)),
            "namespace": namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [owner_reference(RESOURCE, deployment)],
            "generation": 1,
        },
        "spec": { "replicas": 0, "selector": selector, "template": template },
        "status": { "replicas": 0 },
    });
    if let Some(least) = number(deployment, "/spec/minReadySeconds") {
        set["spec"]["minReadySeconds"] = least.into();
    }
    world.create(SETS, &mut set)?;
    world.tx.set_progressed(uid(deployment), world.now)?;
    let message = format!("Created new replica set {:?}", name(&set));
    conditions::set(
        deployment,
        "Progressing",
        true,
        "NewReplicaSetCreated",
        &message,
        world.now,
    );
    Ok(set)
}

/// Returns the annotations of a deployment that its newest ReplicaSet gets, too.
fn passed_on(deployment: &Json) -> Json {
    let mut annotations = deployment["metadata"]["annotations"].clone();
    if let Some(all) = annotations.as_object_mut() {
        all.remove(REVISION);
        all.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    annotations
}

/// Gives the newest ReplicaSet the highest revision, even if it is an old one whose template is used again.
fn take_revision(
    world: &World,
    deployment: &mut Json,
    newest: &mut Json,
    old: &[Json],
) -> Result<(), Failure> {
    let highest = old.iter().map(revision).max().unwrap_or_default();
    let before = newest.clone();
    if let Json::Object(passed) = passed_on(deployment) {
        child(&mut newest["metadata"], "annotations").extend(passed);
    }
    world.update(SETS, &before, newest)?;
    if revision(newest) <= highest {
        let before = newest.clone();
        child(&mut newest["metadata"], "annotations")
            .insert(REVISION.into(), (highest + 1).to_string().into());
        world.update(SETS, &before, newest)?;
        world.tx.set_progressed(uid(deployment), world.now)?;
        let message = format!("Found new replica set {:?}", name(newest));
        conditions::set(
            deployment,
            "Progressing",
            true,
            "FoundNewReplicaSet",
            &message,
            world.now,
        );
    }
    let own = revision(newest).to_string();
    metadata(deployment);
    child(&mut deployment["metadata"], "annotations").insert(REVISION.into(), own.into());
    Ok(())
}

fn scale(
    world: &World,
    deployment: &Json,
    scaling: Scaling,
    newest: &mut Json,
    old: &mut [Json],
) -> Result<(), Failure> {
    let set = match scaling.old {
        None => newest,
        Some(at) => &mut old[at],
    };
    let before = set.clone();
    let from = number(set, "/spec/replicas").unwrap_or_default();
    set["spec"]["replicas"] = scaling.to.into();
    world.update(SETS, &before, set)?;
    world.wake(SETS, set, 0)?;
    let way = if scaling.to > from { "up" } else { "down" };
    let message = format!(
        "Scaled {way} replica set {} from {from} to {}",
        name(set),
        scaling.to
    );
    world.event(
        RESOURCE,
        deployment,
        (COMPONENT, Tone::Normal),
        "ScalingReplicaSet",
        &message,
    )
}

/// Writes the status, with the conditions of the rollout's progress.
fn report(
    world: &World,
    deployment: &mut Json,
    newest: Option<&Json>,
    old: &[Json],
) -> Result<(), Failure> {
    let count =
        |set: &Json, field: &str| number(set, &format!("/status/{field}")).unwrap_or_default();
    let total =
        |field: &str| -> i64 { old.iter().chain(newest).map(|set| count(set, field)).sum() };
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let (replicas, ready, available) = (
        total("replicas"),
        total("readyReplicas"),
        total("availableReplicas"),
    );
    let updated = newest.map_or(0, |set| count(set, "replicas"));
    let before = deployment["status"].clone();
    let generation = deployment["metadata"]["generation"].clone();
    let status = child(deployment, "status");
    status.insert("observedGeneration".into(), generation);
    for (field, value) in [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        (
            "unavailableReplicas",
            (replicas.max(wanted) - available).max(0),
        ),
    ] {
        match value {
            0 => status.remove(field),
            value => status.insert(field.into(), value.into()),
        };
    }
    let (_, unavailable) = strategy::limits(deployment);
    if available >= wanted - unavailable {
        conditions::set(
            deployment,
            "Available",
            true,
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            world.now,
        )
    } else {
        conditions::set(
            deployment,
            "Available",
            false,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            world.now,
        )
    }
    let Some(newest) = newest else {
        return Ok(());
    };
    let is_complete = updated == wanted && replicas == wanted && available == wanted;
    let own = name(newest);
    if is_complete {
        let message = format!("ReplicaSet {own:?} has successfully progressed.");
        conditions::set(
            deployment,
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &message,
            world.now,
        );
        return Ok(());
    }
    let of = |field: &str| before[field].as_i64().unwrap_or_default();
    let has_moved = updated > of("updatedReplicas")
        || replicas - updated < of("replicas") - of("updatedReplicas")
        || ready > of("readyReplicas")
        || available > of("availableReplicas");
    let was_complete = conditions::find(deployment, "Progressing")
        .is_some_and(|one| one["reason"] == "NewReplicaSetAvailable");
    // A complete rollout that loses a pod does not become a rollout in progress.
    if was_complete && replicas == updated {
        return Ok(());
    }
    if has_moved {
        world.tx.set_progressed(uid(deployment), world.now)?;
        let message = format!("ReplicaSet {own:?} is progressing.");
        conditions::set(
            deployment,
            "Progressing",
            true,
            "ReplicaSetUpdated",
            &message,
            world.now,
        );
    }
    let deadline = number(deployment, "/spec/progressDeadlineSeconds").unwrap_or(600);
    if deadline == i64::from(i32::MAX) || deployment["spec"]["paused"] == true {
        return Ok(());
    }
    let since = world.tx.progressed(uid(deployment))?.unwrap_or(world.now);
    let end = since.saturating_add(deadline.saturating_mul(1000));
    if world.now < end {
        return world.wake(RESOURCE, deployment, end - world.now);
    }
    let message = format!("ReplicaSet {own:?} has timed out progressing.");
    conditions::set(
        deployment,
        "Progressing",
        false,
        "ProgressDeadlineExceeded",
        &message,
        world.now,
    );
    Ok(())
}

/// Removes the oldest ReplicaSets without pods, down to `revisionHistoryLimit`.
fn trim_history(world: &World, deployment: &Json, old: &[Json]) -> Result<(), Failure> {
    let kept = number(deployment, "/spec/revisionHistoryLimit").unwrap_or(10);
    let kept = usize::try_from(kept).unwrap_or_default();
    let empty = |set: &&Json| {
        number(set, "/spec/replicas") == Some(0)
            && number(set, "/status/replicas").unwrap_or_default() == 0
            && text(set, "/metadata/deletionTimestamp").is_none()
    };
    let empty: Vec<_> = old.iter().filter(empty).collect();
    for set in empty.iter().take(empty.len().saturating_sub(kept)) {
        world.tx.remove(SETS, set)?;
    }
    Ok(())
}
