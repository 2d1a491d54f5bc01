//! Waits for a rollout, or until an object meets a condition.

use std::time::Duration;

use rhai::{Array, Dynamic, FnPtr, Map, NativeCallContext};
use serde_json::Value as Json;

use super::{
    super::{
        Thrown,
        arguments::{Arguments, refuse},
        host,
        patience::Patience,
        perform,
    },
    About, call, options,
    table::ROLLOUT,
    workload::restart_of,
};
use crate::dynamic::to_dynamic;
use windlass_world::{
    outside::{KubeClient, Named, Progress, Rollout, from_object, is_passing},
    value::{Failure, FailureClass, Value, format_duration, parse_duration},
};

/// How long one look lasts. It watches the object, so it sees a change at once.
pub(super) const LOOK: Duration = Duration::from_secs(10);

pub(super) fn patience(function: &str, text: &str) -> Result<Patience, Thrown> {
    let whole = parse_duration(text).map_err(|e| refuse(function, e))?;
    Ok(Patience::new(whole))
}

/// Implements `kube::wait_rollout(cluster, namespace, "deployment/istiod", "5m", #{ restarted: moment })`: waits until every pod is
/// new and available and no old one is left. It fails if the cluster gives up, or if there is no progress in time, and names
/// the pod and the reason. It fails at once if old pods would stay (paused, `OnDelete`, a partition).
///
/// After a `kube::restart` of the workload in the same step, or with the time of a restart, every pod must belong to that
/// restart, and the pod template must still ask for it. The wait continues while the API server can't be reached.
pub fn rollout(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    workload: &str,
    how_long: &str,
    given: Map,
) -> Result<(), Thrown> {
    const FUNCTION: &str = "kube::wait_rollout";
    let about = About::new(FUNCTION, cluster, namespace, workload)?;
    let mut options = options(FUNCTION, given)?;
    let restarted = options.optional_text("restarted")?;
    options.finish()?;
    let record = match &restarted {
        Some(at) => about.record([("restarted", at.as_str().into())]),
        None => about.record([]),
    };
    let rollout = Rollout {
        restart: restart_of(&context, &about, restarted)?,
        workload: about.object,
    };
    wait(&context, FUNCTION, cluster, record, &[rollout], how_long)
}

/// Implements `kube::wait_rollouts(cluster, [#{ namespace, workload, restarted }, …], "10m")`: as [`rollout`] for each of these.
/// Those that are done already are read together.
pub fn rollouts(
    context: NativeCallContext,
    cluster: &str,
    workloads: Array,
    how_long: &str,
) -> Result<(), Thrown> {
    const FUNCTION: &str = "kube::wait_rollouts";
    let mut records = Vec::new();
    let mut rollouts = Vec::new();
    for one in workloads {
        let kind = one.type_name();
        let Some(one) = one.try_cast::<Map>() else {
            let why = format!("each workload must be a map, not a {kind}");
            return Err(refuse(FUNCTION, why));
        };
        let mut one = Arguments::of(FUNCTION, one, Some(ROLLOUT))?;
        let record = one.to_value();
        let (namespace, workload) = (one.text("namespace")?, one.text("workload")?);
        let about = About::new(FUNCTION, cluster, &namespace, &workload)?;
        let restarted = one.optional_text("restarted")?;
        one.finish()?;
        rollouts.push(Rollout {
            restart: restart_of(&context, &about, restarted)?,
            workload: about.object,
        });
        records.push(record);
    }
    if rollouts.is_empty() {
        return Ok(());
    }
    let record = Value::map([
        ("cluster", cluster.into()),
        ("workloads", Value::List(records)),
    ]);
    wait(&context, FUNCTION, cluster, record, &rollouts, how_long)
}

/// Looks at rollouts until all of them are done.
fn wait(
    context: &NativeCallContext,
    function: &'static str,
    cluster: &str,
    record: Value,
    rollouts: &[Rollout],
    how_long: &str,
) -> Result<(), Thrown> {
    let mut patience = patience(function, how_long)?;
    loop {
        let is_replayed = host(context)?.effects.is_replaying();
        let (look, is_last) = patience.take(LOOK, is_replayed);
        let (rollouts, role) = (rollouts.to_vec(), cluster.to_owned());
        let rest = is_last.then_some(patience.whole);
        let act = move |kube: KubeClient| async move {
            match kube.wait_rollouts(&rollouts, look).await {
                Ok(None) => Ok(true.into()),
                Ok(Some((named, progress))) => {
                    unfinished(&kube, &role, &named, progress, rest).await
                }
                // The next look may reach the API server again.
                Err(failure) if is_passing(&failure) && !is_last => Ok(failure.message.into()),
                Err(failure) => Err(failure),
            }
        };
        let (call, _) = call(context, function, cluster, record.clone(), act)?;
        if perform(context, call.cancellable())? == Value::Bool(true) {
            return Ok(());
        }
    }
}

/// The result of a look at a rollout that is not done: what it waits for. `whole` is the time of the wait, if this was its last look.
async fn unfinished(
    kube: &KubeClient,
    role: &str,
    named: &Named,
    progress: Progress,
    whole: Option<Duration>,
) -> Result<Value, Failure> {
    let (why, code) = match (progress, whole) {
        (Progress::Done, _) => return Ok(true.into()),
        (Progress::Hindered(hindrance, why), _) => {
            let operation = format!("roll out {named} ({role})");
            let failure = Failure::new(FailureClass::Rejected, operation, hindrance.code(), why);
            return Err(failure.with_hint(hindrance.hint()));
        }
        (Progress::Waiting(why), None) => return Ok(why.into()),
        (Progress::Waiting(why), Some(whole)) => (
            format!("after {} {why}", format_duration(whole)),
            "RolloutTimeout",
        ),
        (Progress::Failed(why), _) => (why, "ProgressDeadlineExceeded"),
    };
    Err(stuck(kube, role, named, code, &why).await)
}

/// Explains why a rollout does not end.
pub(super) async fn stuck(
    kube: &KubeClient,
    cluster: &str,
    workload: &Named,
    code: &str,
    why: &str,
) -> Failure {
    // The pods give more details; if they can't be read, the workload's own status is used.
    let why = kube
        .explain(workload, why)
        .await
        .unwrap_or_else(|_| why.to_owned());
    let operation = format!("roll out {workload} ({cluster})");
    Failure::new(FailureClass::Timeout, operation, code, why).with_hint(
        "fix the pods, then run `windlass resume`, or `windlass undo` again in an undo: it waits again and does not restart anything",
    )
}

/// Implements `kube::wait_until(cluster, namespace, "job/x", |object| object.status?.succeeded == 1, "10m")`: waits until
/// the function returns true, and returns the object. The function gets `()` if the object does not exist.
pub fn until(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    object: &str,
    is_done: FnPtr,
    how_long: &str,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::wait_until";
    let about = About::new(FUNCTION, cluster, namespace, object)?;
    let mut patience = patience(FUNCTION, how_long)?;
    // The first look does not wait.
    let (mut look, mut seen) = (Duration::ZERO, Value::Null);
    let (mut is_last, mut was_last) = (false, false);
    loop {
        let record = about.record([("seen", seen.clone())]);
        let (named, known) = (about.object.clone(), seen.clone());
        let gave_up = was_last.then(|| {
            let why = format!("timed out after {}", format_duration(patience.whole));
            let operation = format!("wait for {} ({cluster})", about.object);
            Failure::new(FailureClass::Timeout, operation, "Timeout", why)
        });
        let (call, _) = call(
            &context,
            FUNCTION,
            cluster,
            record,
            move |kube| async move {
                if let Some(failure) = gave_up {
                    return Err(failure);
                }
                let is_changed = |found: Option<&Json>| version(found) != known;
                let found = match kube.watch_until(&named, look, is_changed).await {
                    // This look saw nothing; the next one may reach the API server again.
                    Err(failure) if is_passing(&failure) && !is_last => {
                        return Ok(failure.message.into());
                    }
                    other => other?,
                };
                Ok(found.map_or(Value::Null, |object| from_object(&object)))
            },
        )?;
        let found = perform(&context, call.cancellable())?;
        if let Value::String(_) = found {
            let is_replayed = host(&context)?.effects.is_replaying();
            (look, is_last) = patience.take(LOOK, is_replayed);
            continue;
        }
        let holds: Dynamic = is_done.call_within_context(&context, (to_dynamic(&found),))?;
        match holds.as_bool() {
            Ok(true) => return Ok(to_dynamic(&found)),
            Ok(false) => {}
            Err(kind) => {
                return Err(
                    format!("{FUNCTION}: its function must return a bool, not a {kind}").into(),
                );
            }
        }
        let metadata = found.field("metadata");
        seen = metadata
            .and_then(|m| m.field("resourceVersion"))
            .cloned()
            .unwrap_or(Value::Null);
        was_last = is_last;
        let is_replayed = host(&context)?.effects.is_replaying();
        (look, is_last) = patience.take(LOOK, is_replayed);
    }
}

fn version(object: Option<&Json>) -> Value {
    object.map_or(Value::Null, |object| {
        object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .into()
    })
}
