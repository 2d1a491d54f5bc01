//! Pods: created by controllers, scheduled to a node, and ready a little later.

use serde_json::{Value as Json, json};

use super::{
    conditions,
    event::Tone,
    references::{self, Missing},
    world::{World, owner_reference},
};
use crate::{
    object::{
        Moment, annotation, child, items, moment, name, namespace, number, random, text, timestamp,
        uid,
    },
    wire::Failure,
};

const KUBELET: &str = "kubelet";
/// The reason why containers wait that have not been started yet.
const CREATING: &str = "ContainerCreating";
/// How long it takes until a controller retries an admission or a start that failed, in milliseconds.
const AGAIN: Moment = 500;
/// The longest back-off of a kubelet, in milliseconds.
const LONGEST: Moment = 300_000;
/// The longest interval at which a kubelet tries to mount a volume, in milliseconds (`pkg/util/goroutinemap/exponentialbackoff`).
const LONGEST_MOUNT: Moment = 122_000;
/// The account of a pod that names none. The cluster keeps it in every namespace.
const ACCOUNT: &str = "default";

/// What a controller specifies of a new pod.
pub(super) struct NewPod<'a> {
    pub owner: &'a Json,
    pub template: &'a Json,
    pub name: String,
    /// Labels that the controller adds to those of the template.
    pub labels: &'a [(&'a str, &'a str)],
    /// The node, if a DaemonSet has chosen it.
    pub node: Option<&'a str>,
}

/// A controller that keeps pods, and says in events what it does with them.
pub(super) struct Keeper {
    /// The resource of the owners.
    pub resource: &'static str,
    /// Its name in events.
    pub component: &'static str,
}

impl Keeper {
    /// Makes a pod, as [`create`] does.
    pub fn make(&self, world: &World, new: &NewPod, message: &str) -> Result<bool, Failure> {
        let is_made = create(world, self.resource, new)?;
        if is_made {
            self.note(world, new.owner, "SuccessfulCreate", message)?;
        }
        Ok(is_made)
    }

    /// Removes a pod.
    pub fn remove(
        &self,
        world: &World,
        owner: &Json,
        pod: &Json,
        message: &str,
    ) -> Result<(), Failure> {
        world.tx.remove("pods", pod)?;
        self.note(world, owner, "SuccessfulDelete", message)
    }

    fn note(
        &self,
        world: &World,
        owner: &Json,
        reason: &str,
        message: &str,
    ) -> Result<(), Failure> {
        let by = (self.component, Tone::Normal);
        world.event(self.resource, owner, by, reason, message)
    }

    /// Wakes an owner when those of its pods become available that are only ready.
    pub fn await_available(
        &self,
        world: &World,
        owner: &Json,
        pods: &[Json],
    ) -> Result<(), Failure> {
        let least = least_ready(owner);
        for pod in pods {
            if let Err(Some(at)) = available(pod, least, world.now) {
                world.wake(self.resource, owner, at - world.now)?;
            }
        }
        Ok(())
    }
}

/// How many seconds a pod of an owner must have been ready to be available.
fn least_ready(owner: &Json) -> i64 {
    number(owner, "/spec/minReadySeconds").unwrap_or_default()
}

/// Whether a pod of an owner is available.
pub(super) fn is_available(world: &World, owner: &Json, pod: &Json) -> bool {
    available(pod, least_ready(owner), world.now).is_ok()
}

/// Writes the status of an owner, with those of the counts that are not 0.
pub(super) fn put_status(owner: &mut Json, mut status: Json, counts: &[(&str, usize)]) {
    for (field, count) in counts {
        if *count > 0 {
            status[*field] = (*count).into();
        }
    }
    *child(owner, "status") = status.as_object().cloned().unwrap_or_default();
}

/// Creates a pod and schedules it. Returns `false` if its admission was refused; the owner then tries again.
fn create(world: &World, resource: &str, new: &NewPod) -> Result<bool, Failure> {
    let mut metadata = new.template["metadata"].clone();
    metadata["name"] = new.name.as_str().into();
    metadata["generateName"] = format!("{}-", name(new.owner)).into();
    metadata["namespace"] = namespace(new.owner).into();
    metadata["ownerReferences"] = json!([owner_reference(resource, new.owner)]);
    for (key, value) in new.labels {
        child(&mut metadata, "labels").insert((*key).into(), (*value).into());
    }
    let mut spec = new.template["spec"].clone();
    if spec["serviceAccountName"].is_null() {
        spec["serviceAccountName"] = ACCOUNT.into();
        spec["serviceAccount"] = ACCOUNT.into();
    }
    spec["enableServiceLinks"] = true.into();
    spec["priority"] = 0.into();
    spec["preemptionPolicy"] = "PreemptLowerPriority".into();
    let mut pod = json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": spec,
        "status": { "phase": "Pending", "qosClass": "BestEffort" },
    });
    if let Some(why) = without_account(world, &pod)? {
        refuse(world, resource, new, &why, Retry::Seldom)?;
        return Ok(false);
    }
    if let Some(others) = &world.options.controllers
        && let Some(why) = others.admit(&world.cluster(), &mut pod)?
    {
        refuse(world, resource, new, &why, Retry::Soon)?;
        return Ok(false);
    }
    world.tx.forget_progressed(uid(new.owner))?;
    let node = match new.node {
        Some(node) => Some(node.to_owned()),
        None => node_for(world, &pod)?,
    };
    match &node {
        Some(node) => {
            pod["spec"]["nodeName"] = node.as_str().into();
            pod["status"]["hostIP"] = "127.0.0.1".into();
            pod["status"]["startTime"] = timestamp(world.now).into();
            set_waiting(&mut pod, CREATING, None);
            condition(&mut pod, "PodScheduled", None, world.now);
            condition(&mut pod, "Initialized", None, world.now);
            let names = container_names(&pod);
            let unready = Some(("ContainersNotReady", names));
            condition(&mut pod, "Ready", unready.clone(), world.now);
            condition(&mut pod, "ContainersReady", unready, world.now);
        }
        None => {
            let why = unschedulable(world)?;
            condition(
                &mut pod,
                "PodScheduled",
                Some(("Unschedulable", why)),
                world.now,
            );
        }
    }
    world.create("pods", &mut pod)?;
    match node {
        Some(node) => {
            let message = format!(
                "Successfully assigned {}/{} to {node}",
                namespace(&pod),
                name(&pod)
            );
            world.event(
                "pods",
                &pod,
                ("default-scheduler", Tone::Normal),
                "Scheduled",
                &message,
            )?;
            world.wake("pods", &pod, world.delay)?;
        }
        None => {
            let why = unschedulable(world)?;
            world.event(
                "pods",
                &pod,
                ("default-scheduler", Tone::Warning),
                "FailedScheduling",
                &why,
            )?;
        }
    }
    Ok(true)
}

/// How often a controller tries again to create a pod.
enum Retry {
    /// What refused the pod is expected to be back soon.
    Soon,
    /// Less and less often: a person has to create what is missing.
    Seldom,
}

/// Returns why a pod is refused whose service account does not exist (`plugin/pkg/admission/serviceaccount`).
fn without_account(world: &World, pod: &Json) -> Result<Option<String>, Failure> {
    let (space, account) = (namespace(pod), text(pod, "/spec/serviceAccountName"));
    let Some(account) = account.filter(|account| !matches!(*account, "" | ACCOUNT)) else {
        return Ok(None);
    };
    if world.tx.get("serviceaccounts", space, account)?.is_some() {
        return Ok(None);
    }
    let generated = text(pod, "/metadata/generateName").unwrap_or_default();
    Ok(Some(format!(
        "pods {generated:?} is forbidden: error looking up service account {space}/{account}: serviceaccount {account:?} not found"
    )))
}

/// Records that a pod can't be created, and schedules another try.
fn refuse(
    world: &World,
    resource: &str,
    new: &NewPod,
    why: &str,
    retry: Retry,
) -> Result<(), Failure> {
    let kind = &resource[..resource.find('.').unwrap_or_default()];
    let component = format!("{}-controller", kind.trim_end_matches('s'));
    let message = format!("Error creating: {why}");
    let by = (component.as_str(), Tone::Warning);
    world.event_again(resource, new.owner, by, "FailedCreate", &message)?;
    let after = match retry {
        Retry::Soon => AGAIN,
        Retry::Seldom => {
            let owner = uid(new.owner);
            let since = world.tx.progressed(owner)?.unwrap_or(world.now);
            world.tx.set_progressed(owner, since)?;
            interval(world.now - since, LONGEST)
        }
    };
    world.wake(resource, new.owner, after)
}

/// Returns how long to wait for another try. As with a kubelet, the interval grows: the longer there was no success, the longer
/// the wait.
fn interval(without_success: Moment, longest: Moment) -> Moment {
    (without_success / 8).clamp(AGAIN, longest)
}

/// Starts the containers of a pod, unless its workload is stuck.
pub(super) fn sync(world: &World, before: Json) -> Result<(), Failure> {
    if is_ready(&before) || text(&before, "/spec/nodeName").is_none() {
        return Ok(());
    }
    let mut pod = before.clone();
    match world.stuck(&before)? {
        Some(reason) => {
            stick(world, &mut pod, &reason, None)?;
            world.update("pods", &before, &mut pod)?;
        }
        None => {
            if let Some(missing) = references::missing(world.tx, &before)? {
                wait(world, &mut pod, &missing)?;
                world.update("pods", &before, &mut pod)?;
                return world.wake("pods", &pod, interval(age(world, &pod), LONGEST_MOUNT));
            }
            if let Some(others) = &world.options.controllers
                && let Some(hold) = others.start(&world.cluster(), &before)?
            {
                stick(world, &mut pod, hold.reason, Some(&hold.message))?;
                world.update("pods", &before, &mut pod)?;
                return world.wake("pods", &pod, interval(age(world, &pod), LONGEST));
            }
            start(world, &mut pod)?;
            world.update("pods", &before, &mut pod)?;
            world.wake_owner(&pod)?;
        }
    }
    Ok(())
}

fn age(world: &World, pod: &Json) -> Moment {
    let since = text(pod, "/metadata/creationTimestamp").and_then(moment);
    world.now - since.unwrap_or(world.now)
}

/// Lets the containers wait for what is missing, and says so in events.
fn wait(world: &World, pod: &mut Json, missing: &Missing) -> Result<(), Failure> {
    let by = (KUBELET, Tone::Warning);
    match missing {
        Missing::Volumes(all) => {
            set_waiting(pod, CREATING, None);
            for message in all {
                world.event_again("pods", pod, by, "FailedMount", message)?;
            }
            Ok(())
        }
        Missing::Variable { container, message } => {
            set_waiting(pod, CREATING, None);
            let statuses = pod.pointer_mut("/status/containerStatuses");
            let all = statuses.and_then(Json::as_array_mut).into_iter().flatten();
            for status in all.filter(|status| status["name"] == container.as_str()) {
                status["state"] = json!({ "waiting": {
                    "reason": "CreateContainerConfigError", "message": message,
                } });
            }
            let message = format!("Error: {message}");
            world.event_again("pods", pod, by, "Failed", &message)
        }
    }
}

fn start(world: &World, pod: &mut Json) -> Result<(), Failure> {
    let at = timestamp(world.now);
    let containers = items(pod, "/spec/containers").to_vec();
    let statuses: Vec<_> = containers
        .iter()
        .map(|container| {
            let mut status = container_status(pod, container, true);
            status["state"] = json!({ "running": { "startedAt": at } });
            status["containerID"] = format!("containerd://{}", hex::<32>()).into();
            status["imageID"] = format!("{}@sha256:{}", bare_image(container), hex::<32>()).into();
            status
        })
        .collect();
    for container in &containers {
        let image = text(container, "/image").unwrap_or_default();
        let own = text(container, "/name").unwrap_or_default();
        let say = |reason: &str, message: &str| {
            world.event("pods", pod, (KUBELET, Tone::Normal), reason, message)
        };
        say(
            "Pulled",
            &format!("Container image \"{image}\" already present on machine"),
        )?;
        say("Created", &format!("Created container: {own}"))?;
        say("Started", &format!("Started container {own}"))?;
    }
    let [a, b] = random::<2>();
    let ip = format!("10.244.{}.{}", a % 250, b.clamp(2, 250));
    let status = child(pod, "status");
    status.insert("phase".into(), "Running".into());
    status.insert("podIP".into(), ip.as_str().into());
    status.insert("podIPs".into(), json!([{ "ip": ip }]));
    status.insert("containerStatuses".into(), statuses.into());
    condition(pod, "Ready", None, world.now);
    condition(pod, "ContainersReady", None, world.now);
    Ok(())
}

/// Lets the containers wait for a reason, and records an event if the reason is new.
fn stick(world: &World, pod: &mut Json, reason: &str, says: Option<&str>) -> Result<(), Failure> {
    let is_word = !reason.is_empty() && reason.chars().all(|c| c.is_ascii_alphanumeric());
    let first = items(pod, "/spec/containers").first();
    let image = first
        .and_then(|one| text(one, "/image"))
        .unwrap_or_default()
        .to_owned();
    let own = first
        .and_then(|one| text(one, "/name"))
        .unwrap_or_default()
        .to_owned();
    let (reason, message) = match reason {
        "CrashLoopBackOff" => (
            reason,
            format!(
                "back-off 10s restarting failed container={own} pod={}_{}",
                name(pod),
                namespace(pod)
            ),
        ),
        "ImagePullBackOff" | "ErrImagePull" => {
            (reason, format!("Back-off pulling image \"{image}\""))
        }
        word if is_word => (
            word,
            format!(
                "kept from starting for a rehearsal ({})",
                super::play::STUCK
            ),
        ),
        sentence => ("CreateContainerError", sentence.to_owned()),
    };
    let message = says.map_or(message, str::to_owned);
    if reason == CREATING {
        return world.event_again(
            "pods",
            pod,
            (KUBELET, Tone::Warning),
            "FailedMount",
            &message,
        );
    }
    if waiting_reason(pod) == Some(reason) {
        return Ok(());
    }
    set_waiting(pod, reason, Some(&message));
    if reason == "CrashLoopBackOff" {
        pod["status"]["phase"] = "Running".into();
        for status in pod["status"]["containerStatuses"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            status["restartCount"] = 1.into();
            let at = timestamp(world.now);
            status["lastState"] = json!({ "terminated": {
                "exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at,
            } });
        }
    }
    let kind = match reason {
        "CrashLoopBackOff" | "ImagePullBackOff" => "BackOff",
        _ => "Failed",
    };
    world.event("pods", pod, (KUBELET, Tone::Warning), kind, &message)
}

/// Returns whether a pod waits because its workload is stuck or its start was refused.
pub(super) fn is_stuck(pod: &Json) -> bool {
    waiting_reason(pod).is_some_and(|reason| reason != CREATING)
}

fn waiting_reason(pod: &Json) -> Option<&str> {
    text(pod, "/status/containerStatuses/0/state/waiting/reason")
}

pub(crate) fn is_ready(pod: &Json) -> bool {
    conditions::find(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Checks whether a pod has been ready for long enough. The error is the time when it will be, if it is ready.
fn available(pod: &Json, least_seconds: i64, now: Moment) -> Result<(), Option<Moment>> {
    let ready = conditions::find(pod, "Ready").filter(|ready| ready["status"] == "True");
    let since = ready.and_then(|ready| moment(ready["lastTransitionTime"].as_str()?));
    let Some(since) = since else {
        return Err(None);
    };
    let at = since.saturating_add(least_seconds.saturating_mul(1000));
    if least_seconds == 0 || at <= now {
        Ok(())
    } else {
        Err(Some(at))
    }
}

/// Chooses a node for a pod among those that match.
fn node_for(world: &World, pod: &Json) -> Result<Option<String>, Failure> {
    let mut nodes: Vec<_> = fitting_nodes(world, &pod["spec"])?;
    // A random choice spreads pods well enough, and needs no counting.
    let at = usize::from(random::<1>()[0]) % nodes.len().max(1);
    Ok((!nodes.is_empty()).then(|| nodes.swap_remove(at)))
}

/// Returns the names of the nodes that a pod's `nodeSelector` matches.
pub(super) fn fitting_nodes(world: &World, spec: &Json) -> Result<Vec<String>, Failure> {
    let wanted = spec["nodeSelector"].as_object();
    let nodes = world.tx.list("nodes", None)?.into_iter();
    let fits = |node: &Json| {
        let labels = &node["metadata"]["labels"];
        wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| &labels[key] == value)
    };
    Ok(nodes
        .filter(fits)
        .map(|node| name(&node).to_owned())
        .collect())
}

fn unschedulable(world: &World) -> Result<String, Failure> {
    let count = world.tx.list("nodes", None)?.len();
    Ok(format!(
        "0/{count} nodes are available: {count} node(s) didn't match Pod's node affinity/selector. preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
    ))
}

fn condition(pod: &mut Json, kind: &str, trouble: Option<(&str, String)>, now: Moment) {
    let mut all = items(pod, "/status/conditions").to_vec();
    all.retain(|one| one["type"] != kind);
    let mut one = json!({
        "type": kind,
        "status": if trouble.is_none() { "True" } else { "False" },
        "lastProbeTime": null,
        "lastTransitionTime": timestamp(now),
    });
    if let Some((reason, message)) = trouble {
        one["reason"] = reason.into();
        one["message"] = message.into();
    }
    all.push(one);
    child(pod, "status").insert("conditions".into(), all.into());
}

fn container_names(pod: &Json) -> String {
    let names = items(pod, "/spec/containers").iter();
    let names: Vec<_> = names.filter_map(|one| text(one, "/name")).collect();
    format!("containers with unready status: [{}]", names.join(" "))
}

fn set_waiting(pod: &mut Json, reason: &str, message: Option<&str>) {
    let mut waiting = json!({ "reason": reason });
    if let Some(message) = message {
        waiting["message"] = message.into();
    }
    let statuses: Vec<_> = items(pod, "/spec/containers")
        .iter()
        .map(|container| {
            let mut status = container_status(pod, container, false);
            status["state"] = json!({ "waiting": waiting });
            status
        })
        .collect();
    child(pod, "status").insert("containerStatuses".into(), statuses.into());
}

fn container_status(pod: &Json, container: &Json, ready: bool) -> Json {
    let known = items(pod, "/status/containerStatuses").iter();
    let known = known
        .into_iter()
        .find(|one| one["name"] == container["name"]);
    let restarts = known.map_or(0, |one| one["restartCount"].as_i64().unwrap_or_default());
    json!({
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "lastState": known.map_or_else(|| json!({}), |one| one["lastState"].clone()),
    })
}

fn bare_image(container: &Json) -> &str {
    let image = text(container, "/image").unwrap_or_default();
    let slash = image.rfind('/').unwrap_or(0);
    match image[slash..].find(':') {
        Some(colon) => &image[..slash + colon],
        None => image,
    }
}

fn hex<const N: usize>() -> String {
    data_encoding::HEXLOWER.encode(&random::<N>())
}

/// Schedules the start of pods whose workload has lost the annotation that kept them stuck.
pub(super) fn unstick(world: &World, workload: &Json, pods: &[Json]) -> Result<(), Failure> {
    if annotation(workload, super::play::STUCK).is_some() {
        return Ok(());
    }
    for pod in pods.iter().filter(|pod| is_stuck(pod)) {
        if !world.tx.wakes("pods", pod)? {
            world.wake("pods", pod, world.delay)?;
        }
    }
    Ok(())
}
