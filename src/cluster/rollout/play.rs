use super::{daemon_set, deployment, disruption, pod, replica_set, stateful_set, world::World};
use crate::{
    api::{OWNERS, check_owners},
    controllers::{self, Cluster, WAKES},
    object::{Moment, text},
    options::Options,
    store::Transaction,
    wire::Failure,
};

/// The annotation that keeps the new pods of a workload from becoming ready; its value is the reason.
///
/// A single word, such as `ImagePullBackOff` or `CrashLoopBackOff`, is shown as the reason why the container waits. Any
/// other text is shown as the message of `CreateContainerError`.
pub const STUCK: &str = "rehearsal.windlass.dev/stuck";

/// Does the work of the controllers up to the present.
pub(crate) fn catch_up(tx: &Transaction, options: &Options, now: Moment) -> Result<(), Failure> {
    let mut last = None;
    if let Some(others) = &options.controllers {
        others.begin(&Cluster::new(tx, options, now))?;
        controllers::pass_changes(tx, options, now)?;
    }
    while let Some((resource, namespace, name, at)) = tx.take_due(now)? {
        last = Some(at);
        if resource == WAKES {
            if let Some(others) = &options.controllers {
                others.woken(&Cluster::new(tx, options, at), &name)?;
                controllers::pass_changes(tx, options, at)?;
            }
            continue;
        }
        if resource == OWNERS {
            check_owners(tx, &namespace, &name, at)?;
            controllers::pass_changes(tx, options, at)?;
            continue;
        }
        let Some(object) = tx.get(&resource, &namespace, &name)? else {
            continue;
        };
        let world = World {
            tx,
            now: at,
            options,
            delay: i64::try_from(options.pod_delay.as_millis()).unwrap_or(i64::MAX),
        };
        // Controllers leave a workload alone that is being deleted.
        if resource.ends_with(".apps") && text(&object, "/metadata/deletionTimestamp").is_some() {
            continue;
        }
        match resource.as_str() {
            "deployments.apps" => deployment::sync(&world, object)?,
            "replicasets.apps" => replica_set::sync(&world, object)?,
            "statefulsets.apps" => stateful_set::sync(&world, object)?,
            "daemonsets.apps" => daemon_set::sync(&world, object)?,
            "pods" => pod::sync(&world, object)?,
            // The lifetime of the event has ended.
            "events" => tx.remove("events", &object)?,
            _ => {}
        }
        controllers::pass_changes(tx, options, at)?;
    }
    // Budgets are updated last, because they depend on the state of the pods.
    last.map_or(Ok(()), |at| disruption::sync(tx, at))
}
