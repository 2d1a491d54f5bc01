//! Adoption: a controller takes over the objects that its selector matches and that no controller owns, such as those which
//! `kubectl delete --cascade=orphan` leaves.

use serde_json::Value as Json;

use super::world::{World, owner_reference};
use crate::{
    api::selector_matches,
    object::{items, metadata, namespace, text},
    wire::Failure,
};

/// Adopts objects of one resource for an owner, those of them that `fits` accepts.
pub(super) fn adopt(
    world: &World,
    resource: &str,
    (owners, owner): (&str, &Json),
    fits: impl Fn(&Json) -> bool,
) -> Result<(), Failure> {
    for mut object in world.tx.orphans(resource, namespace(owner))? {
        let labels = &object["metadata"]["labels"];
        let is_going = text(&object, "/metadata/deletionTimestamp").is_some();
        if is_going || !selector_matches(&owner["spec"]["selector"], labels) || !fits(&object) {
            continue;
        }
        let mut references = items(&object, "/metadata/ownerReferences").to_vec();
        references.push(owner_reference(owners, owner));
        metadata(&mut object).insert("ownerReferences".into(), references.into());
        world.tx.put(resource, &mut object)?;
    }
    Ok(())
}
