//! Restores the fields of a changed object: only those that were changed, and only if none of them was changed
//! again.

use data_encoding::BASE64;
use serde_json::{Map, Value as Json, json};
use windlass_ground::boxed;

use super::{
    client::{KubeClient, Patch, PatchKind},
    resource::Named,
    rollout::RESTARTED_AT,
};
use crate::value::Failure;

impl KubeClient {
    /// Creates a deleted object again. It gets another uid, so an annotation says which object it was.
    #[boxed]
    pub async fn recreate(&self, object: &Named, before: &Json) -> Result<(), Failure> {
        self.create(object, &again(before)).await.map(|_| ())
    }

    /// Changes an object by a merge patch, only if it still has the version that was read.
    ///
    /// # Errors
    /// [`FailureClass::Conflict`](crate::value::FailureClass::Conflict) if it has been changed since.
    #[boxed]
    pub async fn patch_version(
        &self,
        object: &Named,
        seen: &Json,
        patch: &Json,
    ) -> Result<(), Failure> {
        let mut body = patch.clone();
        body["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"].clone();
        let kind = PatchKind::Merge;
        self.patch(object, &Patch { kind, body }).await.map(|_| ())
    }
}

/// The annotation of an object that an undo created again: the uid that it had first.
const RECREATED_FROM: &str = "windlass.dev/recreated-from";

/// Returns a deleted object as it is created again.
fn again(before: &Json) -> Json {
    let mut object = own(before);
    let annotations = &mut object["metadata"]["annotations"];
    if annotations[RECREATED_FROM].is_null() {
        annotations[RECREATED_FROM] = before["metadata"]["uid"].clone();
    }
    object
}

/// Says whether an object is the one that was there before, or was created again in its place by an undo.
pub fn is_same_object(before: &Json, now: &Json) -> bool {
    let uid = &before["metadata"]["uid"];
    let now = &now["metadata"];
    *uid == now["uid"] || (uid.is_string() && *uid == now["annotations"][RECREATED_FROM])
}

/// The fields that belong to the API server, and the status of controllers.
const NOT_OURS: [&str; 8] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Returns the merge patch that restores an object to `before`, and the fields that are neither as in `after` nor as in
/// `before`: another client has changed them since.
pub fn restoring(before: &Json, after: &Json, now: &Json) -> (Json, Vec<String>) {
    let mut changed = Vec::new();
    let patch = difference(
        &content(before),
        &content(after),
        &content(now),
        "",
        &mut changed,
    );
    (patch.unwrap_or_else(|| json!({})), changed)
}

/// Lists the fields whose current value differs from the one that was left.
pub fn changed_since(after: &Json, now: &Json) -> Vec<String> {
    let mut changed = Vec::new();
    differing(&content(after), &content(now), "", &mut changed);
    changed
}

/// Returns an object after a patch or an apply, as far as that can be computed without the API server.
pub fn expected(before: &Json, kind: Option<PatchKind>, body: &Json) -> Option<Json> {
    let mut object = before.clone();
    match kind {
        Some(PatchKind::Json) => {
            let patch: json_patch::Patch = serde_json::from_value(body.clone()).ok()?;
            json_patch::patch(&mut object, &patch).ok()?;
        }
        _ => json_patch::merge(&mut object, body),
    }
    if let Some(Json::Object(texts)) = object.get_mut("stringData").map(Json::take) {
        for (key, text) in texts {
            let text = text.as_str().unwrap_or_default();
            object["data"][key] = BASE64.encode(text.as_bytes()).into();
        }
    }
    if let Json::Object(fields) = &mut object {
        fields.remove("stringData");
    }
    Some(object)
}

/// Says whether `whole` contains everything in `part`; it may contain more.
pub fn covers(whole: &Json, part: &Json) -> bool {
    fn within(whole: &Json, part: &Json) -> bool {
        match (whole, part) {
            (Json::Object(whole), Json::Object(part)) => part
                .iter()
                .all(|(key, part)| within(whole.get(key).unwrap_or(&Json::Null), part)),
            (Json::Array(whole), Json::Array(part)) => {
                whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| within(w, p))
            }
            (whole, part) => whole == part,
        }
    }
    within(&content(whole), &content(part))
}

/// Says whether an object can be the result of sending `sent`: it has everything in it, and each item of a list wherever the API
/// server put it.
pub fn has_taken(object: &Json, sent: &Json) -> bool {
    fn has(whole: &Json, part: &Json) -> bool {
        match (whole, part) {
            (Json::Object(whole), Json::Object(part)) => part
                .iter()
                .all(|(key, part)| has(whole.get(key).unwrap_or(&Json::Null), part)),
            (Json::Array(whole), Json::Array(part)) => part
                .iter()
                .all(|part| whole.iter().any(|whole| has(whole, part))),
            (whole, part) => whole == part,
        }
    }
    has(&content(object), &content(sent))
}

/// The annotations that are written beside an object's content, by Kubernetes' own controllers and by an undo
/// (`windlass.dev/revoked` by that of `workflows/retire-cluster.yaml`).
const BESIDE_CONTENT: [&str; 5] = [
    // Says when a workload was restarted, by `kubectl rollout restart` or a run; its pod template has it.
    RESTARTED_AT,
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    RECREATED_FROM,
    "windlass.dev/revoked",
];

/// Returns the desired state of an object: the fields that [`own`] keeps, without annotations beside its content.
pub(super) fn content(object: &Json) -> Json {
    let mut object = own(object);
    for place in ["/metadata", "/spec/template/metadata"] {
        if let Some(Json::Object(metadata)) = object.pointer_mut(place) {
            if let Some(Json::Object(annotations)) = metadata.get_mut("annotations") {
                annotations.retain(|key, _| !BESIDE_CONTENT.contains(&key.as_str()));
            }
            metadata.retain(|_, field| *field != json!({}));
        }
    }
    object
}

fn differing(after: &Json, now: &Json, path: &str, changed: &mut Vec<String>) {
    let (Json::Object(were), Json::Object(are)) = (after, now) else {
        if after != now {
            changed.push(path.trim_start_matches('.').to_owned());
        }
        return;
    };
    let mut keys: Vec<_> = were.keys().chain(are.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let of = |map: &Map<String, Json>| map.get(key).cloned().unwrap_or_default();
        differing(&of(were), &of(are), &format!("{path}.{key}"), changed);
    }
}

/// Returns an object without the fields that clients must not write.
pub(super) fn own(object: &Json) -> Json {
    let mut object = object.clone();
    if let Json::Object(fields) = &mut object {
        fields.remove("status");
        if let Some(Json::Object(metadata)) = fields.get_mut("metadata") {
            metadata.retain(|key, _| !NOT_OURS.contains(&key.as_str()));
        }
    }
    object
}

fn difference(
    before: &Json,
    after: &Json,
    now: &Json,
    path: &str,
    left: &mut Vec<String>,
) -> Option<Json> {
    if before == after {
        return None;
    }
    let (Json::Object(were), Json::Object(are), Json::Object(current)) = (before, after, now)
    else {
        if now == after {
            return Some(before.clone());
        }
        if now != before {
            left.push(path.trim_start_matches('.').to_owned());
        }
        return None;
    };
    let mut keys: Vec<_> = were.keys().chain(are.keys()).collect();
    keys.sort();
    keys.dedup();
    let absent = Json::Null;
    let mut patch = Map::new();
    for key in keys {
        let of = |map: &Map<String, Json>| map.get(key).cloned().unwrap_or_else(|| absent.clone());
        let path = format!("{path}.{key}");
        if let Some(part) = difference(&of(were), &of(are), &of(current), &path, left) {
            patch.insert(key.clone(), part);
        }
    }
    (!patch.is_empty()).then_some(Json::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(spec: Json) -> Json {
        json!({ "kind": "X", "metadata": { "resourceVersion": "1" }, "spec": spec })
    }

    #[test]
    fn only_what_was_changed_goes_back() {
        let before = object(json!({ "restart": true, "own": { "a": 1 }, "list": [1] }));
        let after = object(json!({ "restart": false, "own": { "a": 1, "b": 2 }, "list": [1, 2] }));
        let mut now = after.clone();
        now["spec"]["other"] = "of somebody else".into();
        now["metadata"]["resourceVersion"] = "9".into();
        let (patch, left) = restoring(&before, &after, &now);
        assert_eq!(
            patch,
            json!({ "spec": { "restart": true, "own": { "b": null }, "list": [1] } })
        );
        assert!(left.is_empty());
    }

    #[test]
    fn fields_that_others_changed_since_are_named() {
        let before = object(json!({ "a": 1, "b": 1 }));
        let after = object(json!({ "a": 2, "b": 2 }));
        let now = object(json!({ "a": 3, "b": 2 }));
        let (_, changed) = restoring(&before, &after, &now);
        assert_eq!(changed, ["spec.a"]);
        assert_eq!(changed_since(&after, &now), ["spec.a"]);
    }

    #[test]
    fn what_a_controller_notes_is_no_change() {
        let after = object(json!({ "a": 1 }));
        let mut now = after.clone();
        now["metadata"]["annotations"] = json!({ "deployment.kubernetes.io/revision": "1" });
        now["status"] = json!({ "ready": true });
        assert!(changed_since(&after, &now).is_empty());
        now["metadata"]["annotations"]["mine"] = "yes".into();
        assert_eq!(changed_since(&after, &now), ["metadata.annotations"]);
    }

    #[test]
    fn a_restart_is_no_change() {
        let after = object(json!({ "template": { "metadata": { "labels": { "a": "b" } } } }));
        let mut now = after.clone();
        now["spec"]["template"]["metadata"]["annotations"] = json!({ RESTARTED_AT: "2026-01-31" });
        assert!(changed_since(&after, &now).is_empty());
        let (patch, changed) = restoring(&object(json!({})), &after, &now);
        assert_eq!(
            (patch, changed),
            (json!({ "spec": { "template": null } }), Vec::new())
        );
        now["spec"]["template"]["metadata"]["annotations"]["mine"] = "yes".into();
        let named = ["spec.template.metadata.annotations"];
        assert_eq!(changed_since(&after, &now), named);
    }

    #[test]
    fn an_object_that_was_created_again_is_the_same_one() {
        let first = json!({ "metadata": { "uid": "1" }, "data": { "a": "eA==" } });
        let mut second = again(&first);
        second["metadata"]["uid"] = "2".into();
        let mut third = again(&second);
        third["metadata"]["uid"] = "3".into();
        for later in [&second, &third] {
            assert!(is_same_object(&first, later));
            assert!(changed_since(&first, later).is_empty());
        }
        let other = json!({ "metadata": { "uid": "4" }, "data": { "a": "eA==" } });
        assert!(!is_same_object(&first, &other));
        // Without a uid, nothing shows that it is the same object.
        assert!(!is_same_object(&json!({}), &other));
    }

    #[test]
    fn what_was_sent_is_found_again() {
        let sent = json!({ "kind": "Secret", "stringData": { "a": "hello" } });
        let sent = expected(&json!({}), None, &sent).expect("worked out");
        let now = json!({ "kind": "Secret", "metadata": { "uid": "1" }, "data": { "a": "aGVsbG8=" }, "type": "Opaque" });
        assert!(covers(&now, &sent));
        assert!(!covers(
            &json!({ "kind": "Secret", "data": { "a": "eA==" } }),
            &sent
        ));
        let patch = json!([{ "op": "replace", "path": "/spec/a", "value": 2 }]);
        let after = expected(&object(json!({ "a": 1 })), Some(PatchKind::Json), &patch);
        assert_eq!(after.expect("worked out")["spec"], json!({ "a": 2 }));
    }

    #[test]
    fn what_is_back_already_needs_nothing() {
        let before = object(json!({ "a": 1 }));
        let after = object(json!({ "a": 2 }));
        assert_eq!(restoring(&before, &after, &before), (json!({}), Vec::new()));
    }
}
