//! Giving a changed object its fields back: just those that were changed, and only where nobody
//! changed them again.

use serde_json::{Map, Value as Json, json};

use super::{
    client::{KubeClient, Patch, PatchKind},
    resource::Named,
};
use crate::value::{Failure, FailureClass};

/// How often a restore is tried when somebody else writes at the same time.
const ATTEMPTS: usize = 5;

impl KubeClient {
    /// Takes an object back from `after` to what it was `before`; says what it left alone.
    pub async fn restore(
        &self,
        object: &Named,
        before: &Json,
        after: &Json,
    ) -> Result<Vec<String>, Failure> {
        let mut conflict = None;
        for _ in 0..ATTEMPTS {
            let Some(now) = self.find(object).await? else {
                return Ok(vec!["everything: it is gone".into()]);
            };
            let (mut patch, left) = restoring(before, after, &now);
            if patch == json!({}) {
                return Ok(left);
            }
            // Not over what somebody writes between the look and the patch.
            patch["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
            let patch = Patch {
                kind: PatchKind::Merge,
                body: patch,
            };
            match self.patch(object, &patch).await {
                Ok(_) => return Ok(left),
                Err(failure) if failure.class == FailureClass::Conflict => conflict = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(conflict.unwrap_or_else(|| {
            let about = self.about("restore", object, false);
            about.failure(
                FailureClass::Conflict,
                "Conflict",
                "it changes all the time",
            )
        }))
    }

    /// Creates a deleted object again, unless there is one.
    pub async fn recreate(&self, object: &Named, before: &Json) -> Result<(), Failure> {
        match self.create(object, &own(before)).await {
            Err(failure) if failure.code == "AlreadyExists" => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// What the API server keeps for itself, and what a controller reports.
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

/// The merge patch that takes an object back to `before`, and the fields that it leaves alone
/// because they are no longer as in `after`.
pub(super) fn restoring(before: &Json, after: &Json, now: &Json) -> (Json, Vec<String>) {
    let mut left = Vec::new();
    let patch = difference(&own(before), &own(after), &own(now), "", &mut left);
    (patch.unwrap_or_else(|| json!({})), left)
}

/// An object without what is not for clients to write.
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
    fn what_somebody_changed_since_is_left() {
        let before = object(json!({ "a": 1, "b": 1 }));
        let after = object(json!({ "a": 2, "b": 2 }));
        let now = object(json!({ "a": 3, "b": 2 }));
        let (patch, left) = restoring(&before, &after, &now);
        assert_eq!(patch, json!({ "spec": { "b": 1 } }));
        assert_eq!(left, ["spec.a"]);
    }

    #[test]
    fn what_is_back_already_needs_nothing() {
        let before = object(json!({ "a": 1 }));
        let after = object(json!({ "a": 2 }));
        assert_eq!(restoring(&before, &after, &before), (json!({}), Vec::new()));
    }
}
