//! Changes the state of a cluster.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::Value as Json;

use super::{
    super::{Thrown, arguments::refuse},
    About, change, look_at, options,
    read::secrets,
    try_out,
};
use crate::{
    dynamic::{from_dynamic, to_dynamic},
    effects::Class,
};
use windlass_world::{
    outside::{
        Apply, KubeClient, Named, Patch, PatchKind, Resource, from_object, secret_manifest,
        to_object,
    },
    value::{Digest, Failure, Secret, Value, parse_duration},
};

/// The annotation with kubectl's copy of the applied manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Implements `kube::apply(cluster, manifest, #{ force, field_manager })`: applies server-side and returns the object. A
/// repeated apply leaves the same state. With `dry_run` nothing is stored, and the result is what the API server would store. A
/// field of another manager is a conflict, which names the manager.
pub fn apply(
    context: NativeCallContext,
    cluster: &str,
    manifest: Map,
    given: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::apply";
    let manifest = from_dynamic(&manifest.into()).map_err(|e| refuse(FUNCTION, e))?;
    let about = About {
        cluster: cluster.into(),
        object: named(&manifest).map_err(|e| refuse(FUNCTION, e))?,
    };
    let mut options = options(FUNCTION, given)?;
    let encoded = encoded(&about.object, manifest.clone());
    let refusal = sendable(&encoded);
    let apply = Apply {
        manifest: to_object(&encoded),
        force: options.flag("force")?,
        field_manager: options.optional_text("field_manager")?,
    };
    let is_dry = options.flag("dry_run")?;
    options.finish()?;
    let given = vec![("manifest", shown(&about, manifest))];
    let made = (given, shown(&about, encoded), refusal);
    put_applied(&context, FUNCTION, &about, apply, is_dry, made)
}

/// Makes an apply, whose record has what else was given.
fn put_applied(
    context: &NativeCallContext,
    function: &'static str,
    about: &About,
    apply: Apply,
    is_dry: bool,
    (given, sent, refusal): (Vec<(&str, Value)>, Value, Result<(), String>),
) -> Result<Dynamic, Thrown> {
    let own = [
        ("force", apply.force.into()),
        ("field_manager", apply.field_manager.clone().into()),
    ];
    let record = about.record(given.into_iter().chain(own));
    let making = Making {
        class: None,
        is_dry,
        refusal,
    };
    let made = (record, sent);
    put(
        context,
        function,
        making,
        about,
        made,
        |kube, named| async move { kube.apply(&named, &apply).await },
    )
}

/// Returns the object that a manifest is about.
fn named(manifest: &Value) -> Result<Named, String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (Some(api_version), Some(kind)) = (
        text(manifest.field("apiVersion")),
        text(manifest.field("kind")),
    ) else {
        return Err("the manifest needs `apiVersion` and `kind`".into());
    };
    let metadata = manifest.field("metadata");
    let field = |key: &str| text(metadata.and_then(|metadata| metadata.field(key)));
    let name = field("name").ok_or("the manifest needs `metadata.name`")?;
    let kind = kind.to_ascii_lowercase();
    let (kind, version) = match api_version.split_once('/') {
        Some((group, version)) => (format!("{kind}.{group}"), Some(version.to_owned())),
        None => (kind, None),
    };
    let namespace = field("namespace").unwrap_or_default();
    let named = Named::parse(&namespace, &format!("{kind}/{name}"))?;
    Ok(Named { version, ..named })
}

/// Implements `kube::apply_secret(cluster, namespace, name, #{ "tls.key": key, … }, #{ type, labels, force })`:
/// applies a Secret server-side. The values are texts, bytes or secrets, not base64.
pub fn apply_secret(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    name: &str,
    data: Map,
    given: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::apply_secret";
    let about = About::new(FUNCTION, cluster, namespace, &format!("secret/{name}"))?;
    let recorded = from_dynamic(&data.clone().into()).map_err(|e| refuse(FUNCTION, e))?;
    let recorded = digested(recorded);
    let data = secrets(FUNCTION, data)?;
    let mut options = options(FUNCTION, given)?;
    let kind = options.text("type")?;
    let labels = options.text_map("labels")?;
    let apply = Apply {
        manifest: secret_manifest(namespace, name, &kind, &labels, &data),
        force: options.flag("force")?,
        field_manager: options.optional_text("field_manager")?,
    };
    let is_dry = options.flag("dry_run")?;
    options.finish()?;
    let texts = labels
        .into_iter()
        .map(|(key, text)| (key, Value::from(text)));
    let sent = from_object(&apply.manifest);
    let given = vec![
        ("data", recorded),
        ("type", kind.into()),
        ("labels", Value::map(texts)),
    ];
    let made = (given, sent, Ok(()));
    put_applied(&context, FUNCTION, &about, apply, is_dry, made)
}

/// Implements `kube::patch(cluster, namespace, "deployment/x", patch, #{ type: "strategic" })`; the default type is
/// `merge`; the patch of type `json` is a list.
pub fn patch(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    object: &str,
    patch: Dynamic,
    given: Map,
) -> Result<Dynamic, Thrown> {
    const FUNCTION: &str = "kube::patch";
    let about = About::new(FUNCTION, cluster, namespace, object)?;
    let body = from_dynamic(&patch).map_err(|e| refuse(FUNCTION, e))?;
    let mut options = options(FUNCTION, given)?;
    let name = options.text("type")?;
    let is_dry = options.flag("dry_run")?;
    options.finish()?;
    let kind = PatchKind::parse(&name).ok_or_else(|| {
        format!("{FUNCTION}: `type` must be merge, strategic or json, not `{name}`")
    })?;
    let class = match kind {
        PatchKind::Json if !is_repeatable(&body) => Class::Unsure,
        _ => Class::Keyed,
    };
    let encoded = encoded(&about.object, body.clone());
    let refusal = sendable(&encoded);
    let patch = Patch {
        kind,
        body: to_object(&encoded),
    };
    let sent = shown(&about, encoded);
    let record = about.record([("patch", shown(&about, body)), ("type", name.into())]);
    let making = Making {
        class: Some(class),
        is_dry,
        refusal,
    };
    let made = (record, sent);
    put(
        &context,
        FUNCTION,
        making,
        &about,
        made,
        |kube, named| async move { kube.patch(&named, &patch).await },
    )
}

/// How a change is made.
struct Making {
    /// Given if the arguments decide it.
    class: Option<Class>,
    /// Whether the API server only says what would be the result.
    is_dry: bool,
    /// Why it is not made, although earlier versions made it.
    refusal: Result<(), String>,
}

/// Makes a change, and returns the object as it is then.
fn put<F>(
    context: &NativeCallContext,
    function: &'static str,
    making: Making,
    about: &About,
    (record, sent): (Value, Value),
    act: impl FnOnce(KubeClient, Named) -> F + Send + 'static,
) -> Result<Dynamic, Thrown>
where
    F: Future<Output = Result<Json, Failure>> + Send + 'static,
{
    let named = about.object.clone();
    let act =
        |kube: KubeClient| async move { act(kube, named).await.map(|object| from_object(&object)) };
    let object = if making.is_dry {
        try_out(context, function, about, (record, making.refusal), act)
    } else {
        let made = (record, sent, making.refusal);
        change(context, function, making.class, about, made, act)
    }?;
    Ok(to_dynamic(&object))
}

/// Returns a manifest or patch with bytes as the API takes them, in base64: in the `data` of a Secret and the `binaryData` of a ConfigMap,
/// also if they are given beside texts.
fn encoded(object: &Named, body: Value) -> Value {
    let kind = Resource::known(&object.kind).filter(|kind| kind.group.is_empty());
    let (texts, coded) = match kind.as_ref().map(|kind| kind.plural.as_str()) {
        Some("secrets") => ("stringData", "data"),
        Some("configmaps") => ("data", "binaryData"),
        _ => return body,
    };
    match body {
        Value::Map(mut fields) => {
            let of = |fields: &mut BTreeMap<String, Value>, key: &str| match fields.remove(key) {
                Some(Value::Map(entries)) => entries,
                Some(other) => {
                    fields.insert(key.to_owned(), other);
                    BTreeMap::new()
                }
                None => BTreeMap::new(),
            };
            let had =
                [texts, coded].map(|key| fields.get(key) == Some(&Value::Map(BTreeMap::new())));
            let (plain, bytes): (BTreeMap<_, _>, BTreeMap<_, _>) = of(&mut fields, texts)
                .into_iter()
                .partition(|(_, value)| in_base64(value).is_none());
            let mut binary = of(&mut fields, coded);
            binary.extend(bytes);
            for value in binary.values_mut() {
                if let Some(text) = in_base64(value) {
                    *value = text;
                }
            }
            for (key, entries, had) in [(texts, plain, had[0]), (coded, binary, had[1])] {
                if had || !entries.is_empty() {
                    fields.insert(key.to_owned(), Value::Map(entries));
                }
            }
            Value::Map(fields)
        }
        Value::List(operations) => {
            let inside = format!("/{coded}/");
            let coded = |operation: Value| match operation {
                Value::Map(mut fields)
                    if fields
                        .get("path")
                        .and_then(Value::as_str)
                        .is_some_and(|path| path.starts_with(&inside)) =>
                {
                    if let Some(text) = fields.get("value").and_then(in_base64) {
                        fields.insert("value".to_owned(), text);
                    }
                    Value::Map(fields)
                }
                other => other,
            };
            Value::List(operations.into_iter().map(coded).collect())
        }
        body => body,
    }
}

/// Returns the base64 of bytes; `None` for a text.
fn in_base64(value: &Value) -> Option<Value> {
    match value {
        Value::Bytes(bytes) => Some(BASE64.encode(bytes).into()),
        Value::Secret(secret) if !secret.is_text() => {
            let text = BASE64.encode(secret.reveal_bytes());
            Some(Value::Secret(Secret::new(text)))
        }
        _ => None,
    }
}

/// Refuses bytes where the API takes a text: their base64 would be stored as that text.
fn sendable(body: &Value) -> Result<(), String> {
    body.check_sayable("Kubernetes").map_err(|why| {
        format!("{why}; the `data` of a Secret and the `binaryData` of a ConfigMap take bytes")
    })
}

/// Returns a manifest or patch as the journal shows it: the contents of a Secret are always masked.
fn shown(about: &About, body: Value) -> Value {
    if !about.object.is_secret() {
        return body;
    }
    match body {
        Value::Map(fields) => Value::map(fields.into_iter().map(|(key, field)| {
            let field = match key.as_str() {
                "data" | "stringData" => field.tainted(),
                "metadata" => without_copy(field),
                _ => field,
            };
            (key, field)
        })),
        Value::List(operations) => Value::from(
            operations
                .into_iter()
                .map(|operation| match operation {
                    Value::Map(mut fields) => {
                        if let Some(value) = fields.get_mut("value") {
                            *value = std::mem::take(value).tainted();
                        }
                        Value::Map(fields)
                    }
                    other => other,
                })
                .collect::<Vec<_>>(),
        ),
        body => body,
    }
}

/// Returns the metadata of a Secret with kubectl's copy of the manifest, which holds the data, as a secret.
fn without_copy(mut metadata: Value) -> Value {
    if let Value::Map(fields) = &mut metadata
        && let Some(Value::Map(annotations)) = fields.get_mut("annotations")
        && let Some(copy) = annotations.get_mut(LAST_APPLIED)
    {
        *copy = std::mem::take(copy).tainted();
    }
    metadata
}

/// Returns the data of a Secret for the record: secrets unchanged, plain texts as digests, so that another text makes
/// another call.
fn digested(data: Value) -> Value {
    match data {
        Value::Map(entries) => Value::map(entries.into_iter().map(|(key, value)| match value {
            Value::String(text) => (
                key,
                format!("sha256:{}", Digest::of_content(text.as_bytes())).into(),
            ),
            other => (key, other),
        })),
        other => other,
    }
}

/// Says whether applying a JSON patch twice leaves the same state as once: it only sets members by name. A patch that tests what it
/// replaces is rejected the second time.
fn is_repeatable(patch: &Value) -> bool {
    let Value::List(operations) = patch else {
        return true;
    };
    operations.iter().all(|operation| {
        let text = |key: &str| {
            operation
                .field(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let last = text("path").rsplit('/').next().unwrap_or_default();
        let is_element = last == "-" || last.parse::<u32>().is_ok();
        match text("op") {
            "replace" => true,
            "add" => !is_element,
            _ => false,
        }
    })
}

/// Implements `kube::delete(cluster, namespace, "secret/x")`; an object that does not exist counts as deleted.
///
/// It reads the object first, so that a later object of the same name is never deleted instead.
pub fn delete(
    context: NativeCallContext,
    cluster: &str,
    namespace: &str,
    object: &str,
    given: Map,
) -> Result<(), Thrown> {
    const FUNCTION: &str = "kube::delete";
    let about = About::new(FUNCTION, cluster, namespace, object)?;
    let mut options = options(FUNCTION, given)?;
    let within = parse_duration(&options.text("timeout")?)
        .map_err(|e| refuse(FUNCTION, format!("`timeout`: {e}")))?;
    options.finish()?;
    let uid = look_at(&context, "kube::find", &about, |kube, named| async move {
        let found = kube.find(&named).await?;
        let uid = found.and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned));
        Ok(uid.into())
    })?;
    let uid = match uid {
        Value::Null => return Ok(()),
        Value::String(uid) => uid,
        // A workflow test answers this look with the object, as it answers any `kube::find`.
        object => uid_of(&object),
    };
    let record = about.record([("uid", uid.as_str().into())]);
    let named = about.object.clone();
    change(
        &context,
        FUNCTION,
        None,
        &about,
        (record, Value::Null, Ok(())),
        move |kube| async move {
            let gone = kube.delete(&named, &uid, within).await;
            gone.map(|()| Value::Null)
        },
    )?;
    Ok(())
}

fn uid_of(object: &Value) -> String {
    let uid = object
        .field("metadata")
        .and_then(|found| found.field("uid"));
    uid.map(Value::to_text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_world::value::Bytes;

    #[test]
    fn a_json_patch_that_counts_or_tests_is_not_made_twice() {
        let patch = |op: &str, path: &str| {
            Value::List(vec![Value::map(
                [("op", op), ("path", path)].map(|(k, v)| (k, v.into())),
            )])
        };
        assert!(is_repeatable(&patch("replace", "/spec/list/0")));
        assert!(is_repeatable(&patch("add", "/metadata/labels/a")));
        assert!(!is_repeatable(&patch("add", "/spec/list/-")));
        assert!(!is_repeatable(&patch("add", "/spec/list/0")));
        assert!(!is_repeatable(&patch("remove", "/metadata/labels/a")));
        assert!(!is_repeatable(&patch("test", "/data/v")));
    }

    #[test]
    fn bytes_are_sent_where_the_api_takes_them() {
        let bytes = || Value::Bytes(Bytes::new([0xff, 0, 0xfe]));
        let named = |kind: &str| Named::parse("a", &format!("{kind}/x")).expect("an object");
        let body = |key: &str, value: Value| Value::map([(key, Value::map([("k", value)]))]);
        let sent = |kind, key, value| {
            let encoded = encoded(&named(kind), body(key, value));
            sendable(&encoded).map(|()| to_object(&encoded).to_string())
        };
        let secret = r#"{"data":{"k":"/wD+"}}"#;
        for key in ["stringData", "data"] {
            assert_eq!(sent("secret", key, bytes()).as_deref(), Ok(secret));
        }
        let sealed = Value::Secret(Secret::of_bytes(&[0xff, 0, 0xfe]));
        assert_eq!(sent("secret", "stringData", sealed).as_deref(), Ok(secret));
        let text = r#"{"stringData":{"k":"t"}}"#;
        assert_eq!(
            sent("secret", "stringData", "t".into()).as_deref(),
            Ok(text)
        );
        let map = r#"{"binaryData":{"k":"/wD+"}}"#;
        assert_eq!(sent("cm", "data", bytes()).as_deref(), Ok(map));
        let why = sent("deployment", "spec", bytes()).expect_err("bytes in a text");
        assert!(why.contains("binaryData"), "{why}");
    }

    #[test]
    fn a_manifest_says_what_it_is_about() {
        let manifest = Value::from_json(serde_json::json!({
            "apiVersion": "admin.gloo.solo.io/v2", "kind": "RootTrustPolicy",
            "metadata": { "name": "a", "namespace": "b" },
        }));
        let found = named(&manifest).expect("an object");
        assert_eq!(
            found.to_string(),
            "roottrustpolicy.admin.gloo.solo.io/a in b"
        );
        assert_eq!(found.version.as_deref(), Some("v2"));
        assert!(named(&Value::map([("kind", "X")].map(|(k, v)| (k, v.into())))).is_err());
    }
}
