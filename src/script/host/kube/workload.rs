//! Restarting workloads.

use rhai::NativeCallContext;

use super::{
    super::{Thrown, perform, time},
    About, call,
};
use crate::{script::effects::Class, value::Value};

/// `kube::restart(cluster, namespace, "deployment/istiod")` replaces its pods by a rolling update,
/// as `kubectl rollout restart` does, and gives the moment that it wrote. It does not wait.
///
/// The moment is an effect of its own: a restart whose answer was lost is asked for again with the
/// same one, which restarts nothing.
pub fn restart(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    workload: &str,
) -> Result<String, Thrown> {
    const FUNCTION: &str = "kube::restart";
    let about = About::new(FUNCTION, cluster, namespace, workload)?;
    let at = time::now(&context)?;
    let record = about.record([("at", at.as_str().into())]);
    let (named, moment) = (about.object.clone(), at.clone());
    // There is nothing to remember: a restart can't be taken back.
    let (call, heard) = call(
        &context,
        FUNCTION,
        Class::Keyed,
        cluster,
        record,
        |kube| async move { kube.restart(&named, &moment).await.map(|_| Value::Null) },
    )?;
    let answer = perform(&context, call);
    heard.note(&context, cluster)?;
    answer?;
    Ok(at)
}
