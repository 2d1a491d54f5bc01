//! Restarts workloads, and replaces the pods of workloads that do not replace them themselves.

use std::time::Duration;

use rhai::{Map, NativeCallContext};

use super::{
    super::{Thrown, arguments::refuse, host, interrupt, perform, time},
    About, call, options,
    wait::{LOOK, patience, stuck},
};
use windlass_world::{
    outside::{Named, Next},
    value::{Failure, FailureClass, Value, format_duration},
};

/// The pause before an eviction is retried that a PodDisruptionBudget does not allow, as in `kubectl drain`.
const BUDGET_PAUSE: Duration = Duration::from_secs(2);

/// Implements `kube::restart(cluster, namespace, "deployment/istiod", #{ on_delete: false })`: replaces the pods by a rolling
/// update, as `kubectl rollout restart` does, and returns the time that it wrote. It does not wait.
///
/// The time is an effect of its own: a restart whose answer was lost is repeated with the same time, which restarts
/// nothing. A workload that would keep old pods is rejected before anything is changed: a paused Deployment, a
/// StatefulSet with a partition and, unless `on_delete` is set, the update strategy `OnDelete`.
pub fn restart(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    workload: &str,
    given: Map,
) -> Result<String, Thrown> {
    const FUNCTION: &str = "kube::restart";
    let about = About::new(FUNCTION, cluster, namespace, workload)?;
    let mut options = options(FUNCTION, given)?;
    let on_delete = options.flag("on_delete")?;
    options.finish()?;
    let at = time::now(&context)?;
    let record = if on_delete {
        about.record([("at", at.as_str().into()), ("on_delete", true.into())])
    } else {
        about.record([("at", at.as_str().into())])
    };
    let (named, moment) = (about.object.clone(), at.clone());
    // There is nothing to record: a restart can't be undone.
    let (call, heard) = call(
        &context,
        FUNCTION,
        cluster,
        record,
        move |kube| async move {
            kube.restart(&named, &moment, on_delete)
                .await
                .map(|_| Value::Null)
        },
    )?;
    let answer = perform(&context, call);
    heard.note(&context, cluster)?;
    answer?;
    host(&context)?.restarts.add(&about, &at);
    Ok(at)
}

/// Returns the time of the restart that a wait is for: the given one, else that of the last restart in this step.
pub(super) fn restart_of(
    context: &NativeCallContext,
    about: &About,
    given: Option<String>,
) -> Result<Option<String>, Thrown> {
    match given {
        Some(at) => Ok(Some(at)),
        None => Ok(host(context)?.restarts.last(about)),
    }
}

/// Implements `kube::replace_pods(cluster, namespace, "daemonset/ztunnel", "10m", #{ restarted: moment })`: evicts every pod that
/// is older than the restart, one at a time: each after the one before is replaced and ready. It is for a workload
/// that was restarted with `on_delete: true`; it replaces no pods of other workloads.
///
/// It waits while a PodDisruptionBudget does not allow an eviction. The time limit is for each pod. Each eviction is an
/// effect that is bound to the pod's uid, so a repeated eviction never evicts the pod's successor. Returns the number of evicted pods.
pub fn replace_pods(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    workload: &str,
    how_long: &str,
    given: Map,
) -> Result<i64, Thrown> {
    const FUNCTION: &str = "kube::replace_pods";
    let about = About::new(FUNCTION, cluster, namespace, workload)?;
    let mut options = options(FUNCTION, given)?;
    let restarted = options.optional_text("restarted")?;
    options.finish()?;
    let Some(at) = restart_of(&context, &about, restarted)? else {
        return Err(refuse(
            FUNCTION,
            "the workload was not restarted in this step: restart it first, or set `restarted` to the time of the restart",
        ));
    };
    let mut left = patience(FUNCTION, how_long)?;
    let mut evicted = 0;
    loop {
        let is_replayed = host(&context)?.effects.is_replaying();
        let (look, is_last) = left.take(LOOK, is_replayed);
        let record = about.record([("restarted", at.as_str().into())]);
        let (named, role, moment) = (about.object.clone(), about.cluster.clone(), at.clone());
        let whole = left.whole;
        let (call, _) = call(
            &context,
            "kube::pods",
            cluster,
            record,
            move |kube| async move {
                match kube.next_to_evict(&named, &moment, look).await? {
                    Next::Done => Ok(Value::Null),
                    Next::Evict { pod, uid } => {
                        Ok(Value::map([("pod", Value::from(pod)), ("uid", uid.into())]))
                    }
                    Next::Waiting(why) if !is_last => Ok(why.into()),
                    Next::Waiting(why) => {
                        let why = format!("after {} {why}", format_duration(whole));
                        Err(stuck(&kube, &role, &named, "RolloutTimeout", &why).await)
                    }
                }
            },
        )?;
        let next = perform(&context, call.cancellable())?;
        let text = |key: &str| next.field(key).map_or_else(String::new, Value::to_text);
        match &next {
            Value::Null => return Ok(evicted),
            Value::Map(_) => {}
            _ => continue,
        }
        let pod = About {
            cluster: about.cluster.clone(),
            object: Named {
                kind: "pod".into(),
                version: None,
                namespace: about.object.namespace.clone(),
                name: text("pod"),
            },
        };
        if evict(&context, pod, text("uid"), (whole, is_last))? {
            evicted += 1;
            left = patience(FUNCTION, how_long)?;
        } else {
            host(&context)?
                .effects
                .sleep(BUDGET_PAUSE)
                .map_err(interrupt)?
        }
    }
}

/// Evicts one pod; returns `false` if a PodDisruptionBudget does not allow it yet.
fn evict(
    context: &NativeCallContext,
    pod: About,
    uid: String,
    (whole, is_last): (Duration, bool),
) -> Result<bool, Thrown> {
    let record = pod.record([("uid", uid.as_str().into())]);
    let cluster = pod.cluster.clone();
    let (call, heard) = call(
        context,
        "kube::evict",
        &cluster,
        record,
        move |kube| async move {
            match kube.evict(&pod.object, &uid).await? {
                None => Ok(true.into()),
                Some(_) if !is_last => Ok(false.into()),
                Some(why) => {
                    let operation = format!("evict {} ({})", pod.object, pod.cluster);
                    let why = format!("after {} {why}", format_duration(whole));
                    let failure =
                        Failure::new(FailureClass::Timeout, operation, "DisruptionBudget", why);
                    Err(failure.with_hint("to see the budgets: `kubectl get poddisruptionbudgets -n NAMESPACE`; when they allow disruptions again, run `windlass resume`, or `windlass undo` again in an undo"))
                }
            }
        },
    )?;
    let evicted = perform(context, call);
    heard.note(context, &cluster)?;
    Ok(evicted? == Value::Bool(true))
}
