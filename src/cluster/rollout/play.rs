use super::{daemon_set, deployment, disruption, pod, replica_set, stateful_set, world::World};
use crate::cluster::{object::Moment, options::Options, store::Transaction, wire::Failure};

/// The annotation that keeps a workload's new pods from becoming ready; its value is the reason.
///
/// One word, such as `ImagePullBackOff` or `CrashLoopBackOff`, is taken for the reason of a waiting container; a
/// sentence becomes the message of `CreateContainerError`.
pub const STUCK: &str = "rehearsal.windlass.dev/stuck";

/// Does what controllers would have done up to now.
pub(crate) fn catch_up(tx: &Transaction, options: &Options, now: Moment) -> Result<(), Failure> {
    let mut last = None;
    while let Some((resource, namespace, name, at)) = tx.take_due(now)? {
        last = Some(at);
        let Some(object) = tx.get(&resource, &namespace, &name)? else {
            continue;
        };
        let world = World {
            tx,
            now: at,
            delay: i64::try_from(options.pod_delay.as_millis()).unwrap_or(i64::MAX),
        };
        match resource.as_str() {
            "deployments.apps" => deployment::sync(&world, object)?,
            "replicasets.apps" => replica_set::sync(&world, object)?,
            "statefulsets.apps" => stateful_set::sync(&world, object)?,
            "daemonsets.apps" => daemon_set::sync(&world, object)?,
            "pods" => pod::sync(&world, object)?,
            // Its time is over.
            "events" => tx.remove("events", &object)?,
            _ => {}
        }
    }
    // Budgets follow what has become of their pods.
    last.map_or(Ok(()), |at| disruption::sync(tx, at))
}
