//! Reads the state of a cluster.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::{
    super::{Thrown, arguments::refuse},
    About,
    fields::Fields,
    look, look_at, options,
};
use crate::dynamic::{from_dynamic, to_dynamic};
use windlass_world::{
    outside::{Named, PodState, Selection, Trouble, from_object},
    value::{Secret, Value},
};

/// Implements `kube::get(cluster, namespace, "deployment/istiod")`: returns the object, or fails with `NotFound`.
pub fn get(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    object: &str,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::get";
    let about = About::new(FUNCTION, cluster, namespace, object)?;
    let found = look_at(&context, FUNCTION, &about, |kube, named| async move {
        kube.get(&named).await.map(|object| from_object(&object))
    })?;
    Ok(to_dynamic(&found))
}

/// As [`get`], but returns `()` if the object does not exist.
pub fn find(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    object: &str,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::find";
    let about = About::new(FUNCTION, cluster, namespace, object)?;
    let found = look_at(&context, FUNCTION, &about, |kube, named| async move {
        let found = kube.find(&named).await?;
        Ok(found.map_or(Value::Null, |object| from_object(&object)))
    })?;
    Ok(to_dynamic(&found))
}

/// Implements `kube::list(cluster, namespace, "deployments", #{ labels: "app=x", fields: "…", pick: […] })`; an empty namespace
/// stands for all of them.
pub fn list(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    kind: &str,
    given: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::list";
    let mut options = options(FUNCTION, given)?;
    let selection = Selection {
        namespace: namespace.into(),
        labels: options.optional_text("labels")?,
        fields: options.optional_text("fields")?,
    };
    let pick = options.texts("pick")?;
    options.finish()?;
    let mut record = Value::map([
        ("cluster", Value::from(cluster)),
        ("namespace", namespace.into()),
        ("kind", kind.into()),
        ("labels", selection.labels.clone().into()),
        ("fields", selection.fields.clone().into()),
    ]);
    note_picked(&mut record, &pick);
    let (kind, pick) = (kind.to_owned(), Fields::of(&pick));
    let found = look(&context, FUNCTION, cluster, record, |kube| async move {
        let found = kube.list(&kind, &selection).await?;
        let objects = found.iter().map(from_object);
        Ok(Value::List(match pick {
            None => objects.collect(),
            Some(fields) => objects.map(|object| fields.pick(object)).collect(),
        }))
    })?;
    Ok(to_dynamic(&found))
}

/// Adds the picked fields to what is recorded of a call; a call without them is recorded as before there were any.
pub(super) fn note_picked(record: &mut Value, pick: &[String]) {
    if let (Value::Map(record), false) = (record, pick.is_empty()) {
        let pick = pick.iter().map(|path| Value::from(path.as_str()));
        record.insert("pick".into(), Value::List(pick.collect()));
    }
}

/// Implements `kube::workloads(cluster, namespace, "app=x")`: returns the deployments, statefulsets and daemonsets, whose pods
/// a rollout replaces, as a list of `#{ namespace, workload }`, such as `deployment/istiod`. An empty namespace stands for
/// all namespaces, and empty labels for all workloads.
pub fn workloads(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    labels: Dynamic,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::workloads";
    let labels = match from_dynamic(&labels) {
        Ok(Value::Null) => None,
        Ok(Value::String(labels)) => Some(labels),
        _ => return Err(refuse(FUNCTION, "the labels must be a string or ()")),
    };
    let selection = Selection {
        namespace: namespace.into(),
        labels,
        fields: None,
    };
    let record = Value::map([
        ("cluster", Value::from(cluster)),
        ("namespace", namespace.into()),
        ("labels", selection.labels.clone().into()),
    ]);
    let found = look(&context, FUNCTION, cluster, record, |kube| async move {
        let found = kube.workloads(&selection).await?;
        let value = |named: Named| {
            let workload = format!("{}/{}", named.kind, named.name);
            Value::map(
                [("namespace", named.namespace), ("workload", workload)]
                    .map(|(k, v)| (k, v.into())),
            )
        };
        Ok(Value::List(found.into_iter().map(value).collect()))
    })?;
    Ok(to_dynamic(&found))
}

/// Implements `kube::pods(cluster, namespace, "deployment/istiod")`: returns the pods that a workload selects, as
/// a list of `#{ name, phase, ready, reason, message, restarts, node, created }`.
pub fn pods(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    workload: &str,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::pods";
    let about = About::new(FUNCTION, cluster, namespace, workload)?;
    let found = look_at(&context, FUNCTION, &about, |kube, named| async move {
        let pods = kube.pods(&named).await?;
        Ok(Value::List(pods.into_iter().map(pod_value).collect()))
    })?;
    Ok(to_dynamic(&found))
}

fn pod_value(pod: PodState) -> Value {
    Value::map([
        ("name", Value::from(pod.name)),
        ("phase", pod.phase.into()),
        ("ready", pod.is_ready.into()),
        ("reason", pod.reason.into()),
        ("message", pod.message.into()),
        ("restarts", pod.restarts.into()),
        ("node", pod.node.into()),
        ("created", pod.created.into()),
    ])
}

/// Implements `kube::events(cluster, namespace, "pod/istiod-1")`: returns the events of an object, newest first, as
/// a list of `#{ type, reason, message, count, last_seen }`.
pub fn events(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    object: &str,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::events";
    let about = About::new(FUNCTION, cluster, namespace, object)?;
    let found = look_at(&context, FUNCTION, &about, |kube, named| async move {
        let events = kube.events(&named).await?;
        Ok(Value::List(events.into_iter().map(event_value).collect()))
    })?;
    Ok(to_dynamic(&found))
}

fn event_value(event: Trouble) -> Value {
    Value::map([
        ("type", Value::from(event.kind)),
        ("reason", event.reason.into()),
        ("message", event.message.into()),
        ("count", event.count.into()),
        ("last_seen", event.last_seen.into()),
    ])
}

/// Implements `kube::secret_differences(cluster, namespace, name, #{ "tls.crt": …, "tls.key": … })`: returns the keys
/// of a Secret that are missing or have another value; an empty list if all values are as given.
///
/// The comparison is made here because a script can't compare secrets.
pub fn secret_differences(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    name: &str,
    data: Map,
) -> Result<Array, Thrown> {
    const FUNCTION: &str = "kube::secret_differences";
    let about = About::new(FUNCTION, cluster, namespace, &format!("secret/{name}"))?;
    let wanted = secrets(FUNCTION, data)?;
    let given = wanted
        .iter()
        .map(|(key, secret)| (key.as_str(), Value::Secret(secret.clone())));
    let record = about.record([("data", Value::map(given))]);
    let named = about.object.clone();
    let found = look(&context, FUNCTION, cluster, record, |kube| async move {
        let found = kube.find(&named).await?.unwrap_or_default();
        let differs = |(key, wanted): &(&String, &Secret)| {
            // A key that is missing is not an empty value.
            let text = found["data"][key.as_str()].as_str();
            let bytes = text.and_then(|text| BASE64.decode(text.as_bytes()).ok());
            let holds = bytes.map(|bytes| Secret::of_bytes(&bytes));
            holds.as_ref() != Some(wanted)
        };
        let keys = wanted
            .iter()
            .filter(differs)
            .map(|(key, _)| key.as_str().into());
        Ok(Value::List(keys.collect()))
    })?;
    Ok(to_dynamic(&found).into_array().unwrap_or_default())
}

/// Returns a map of texts and secrets, all as secrets.
pub(super) fn secrets(function: &str, data: Map) -> Result<BTreeMap<String, Secret>, Thrown> {
    let given = from_dynamic(&data.into()).map_err(|e| refuse(function, e))?;
    let Value::Map(given) = given else {
        return Err(refuse(function, "it takes a map of strings and secrets"));
    };
    given
        .into_iter()
        .map(|(key, value)| match value {
            Value::Secret(secret) => Ok((key, secret)),
            Value::String(text) => Ok((key, Secret::new(text))),
            Value::Bytes(bytes) => Ok((key, Secret::of_bytes(&bytes))),
            other => {
                let why = format!("`{key}` must be a string, not a {}", other.kind());
                Err(refuse(function, why))
            }
        })
        .collect()
}
