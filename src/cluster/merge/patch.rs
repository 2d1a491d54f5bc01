use serde_json::Value as Json;

use crate::cluster::wire::Failure;

/// The kinds of patches, by their media types.
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
    /// 415 for a kind that the resource doesn't take: custom ones have no merge keys.
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

/// Does the operations of a JSON patch (RFC 6902).
pub(crate) fn json_patch(object: &mut Json, patch: &Json) -> Result<(), Failure> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    json_patch::patch(object, &patch).map_err(|error| Failure::rejected(&error.to_string()))
}

/// Merges a document (RFC 7386): null removes, lists are replaced.
pub(crate) fn merge_patch(object: &mut Json, patch: &Json) -> Result<(), Failure> {
    if !patch.is_object() {
        return Err(Failure::bad_request(
            "json: cannot unmarshal into Go value of type map[string]interface {}",
        ));
    }
    json_patch::merge(object, patch);
    Ok(())
}
