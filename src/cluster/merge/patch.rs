use serde_json::Value as Json;

use crate::wire::Failure;

/// The kinds of patches, selected by media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

const MEDIA_TYPES: [(&str, PatchKind); 4] = [
    ("application/json-patch+json", PatchKind::Json),
    ("application/merge-patch+json", PatchKind::Merge),
    ("application/apply-patch+yaml", PatchKind::Apply),
    (
        "application/strategic-merge-patch+json",
        PatchKind::Strategic,
    ),
];

impl PatchKind {
    /// # Errors
    /// 415 for a kind that the resource does not support: custom resources have no merge keys.
    pub fn of(media_type: &str, custom: bool) -> Result<Self, Failure> {
        let known = || {
            MEDIA_TYPES
                .iter()
                .filter(|(_, kind)| !custom || *kind != Self::Strategic)
        };
        let found = known().find(|(name, _)| *name == media_type);
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<_> = known().map(|(name, _)| *name).collect();
            Failure::unsupported_media_type(&names)
        })
    }
}

/// The API server's `maxJSONPatchOperations`.
const MAX_OPERATIONS: usize = 10_000;
/// The API server's `JSONPatchMaxCopyBytes`: how many bytes the copies of one patch may add.
const MAX_COPIED_BYTES: usize = 3 << 20;
/// Below the limit of `serde_json` (127 levels), since what is stored must be readable again.
const MAX_DEPTH: usize = 100;

/// Applies a JSON patch (RFC 6902), completely or not at all.
///
/// # Errors
/// 400 for a malformed patch; 413 for too many operations; 422 for an operation that can't be applied, for copies that add
/// more than 3 MiB, and for a result that is nested too deeply.
pub(crate) fn json_patch(object: &mut Json, patch: &Json) -> Result<(), Failure> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    if patch.len() > MAX_OPERATIONS {
        return Err(Failure::too_many_operations(MAX_OPERATIONS, patch.len()));
    }
    let (mut patched, mut copied) = (object.clone(), 0);
    for operation in patch.iter() {
        if let json_patch::PatchOperation::Copy(copy) = operation {
            copied += patched
                .pointer(copy.from.as_str())
                .map_or(0, windlass_ground::json_size);
            if copied > MAX_COPIED_BYTES {
                return Err(Failure::rejected(&format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED_BYTES}"
                )));
            }
        }
        json_patch::patch(&mut patched, std::slice::from_ref(operation))
            .map_err(|error| Failure::rejected(&error.to_string()))?;
    }
    if windlass_ground::depth_of(&patched) > MAX_DEPTH {
        return Err(Failure::rejected("the patched object is nested too deeply"));
    }
    *object = patched;
    Ok(())
}

/// Applies a merge patch (RFC 7386): null removes a field, and lists are replaced.
pub(crate) fn merge_patch(object: &mut Json, patch: &Json) -> Result<(), Failure> {
    if !patch.is_object() {
        return Err(Failure::bad_request(
            "json: cannot unmarshal into Go value of type map[string]interface {}",
        ));
    }
    json_patch::merge(object, patch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn copies_of_a_patch_can_add_3_mib_at_most() {
        let mut object = json!({ "data": { "a": "x".repeat(1_000) } });
        let before = object.clone();
        let copies: Vec<_> = (0..40)
            .map(|i| json!({ "op": "copy", "from": "/data", "path": format!("/data/c{i}") }))
            .collect();
        let failure = json_patch(&mut object, &json!(copies)).unwrap_err();
        assert!(
            format!("{failure:?}").contains("accumulated size increase of copy"),
            "{failure:?}"
        );
        assert_eq!(object, before, "all or nothing");
    }

    #[test]
    fn a_patch_cannot_nest_deeper_than_can_be_read() {
        let mut object = json!({ "a": {} });
        let copies: Vec<_> = (0..150)
            .map(|_| json!({ "op": "copy", "from": "", "path": "/a" }))
            .collect();
        let failure = json_patch(&mut object, &json!(copies)).unwrap_err();
        assert!(
            format!("{failure:?}").contains("nested too deeply"),
            "{failure:?}"
        );
        let tests: Vec<_> = (0..10_001)
            .map(|_| json!({ "op": "test", "path": "/a", "value": {} }))
            .collect();
        let failure = json_patch(&mut object, &json!(tests)).unwrap_err();
        assert!(
            format!("{failure:?}").contains("maximum operations"),
            "{failure:?}"
        );
    }
}
