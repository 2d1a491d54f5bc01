use serde_json::{Value as Json, json};

use super::play::STUCK;
use crate::{
    controllers::Cluster,
    object::{Moment, annotation, items, metadata, name, namespace, new_uid, text, timestamp, uid},
    options::Options,
    resource::Resource,
    store::Transaction,
    wire::Failure,
};

/// The cluster as a controller sees it.
pub(super) struct World<'a> {
    pub tx: &'a Transaction<'a>,
    /// The time as of which the controller acts, in milliseconds since 1970. This can be long before the present.
    pub now: Moment,
    pub options: &'a Options,
    /// How long a pod takes to become ready, in milliseconds.
    pub delay: Moment,
}

impl World<'_> {
    /// Returns the same cluster for controllers of other crates.
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster::new(self.tx, self.options, self.now)
    }

    pub fn wake(&self, resource: &str, object: &Json, after: Moment) -> Result<(), Failure> {
        self.tx
            .wake(resource, object, self.now.saturating_add(after))
    }

    /// Stores a new object, with the metadata that every object has.
    pub fn create(&self, resource: &str, object: &mut Json) -> Result<(), Failure> {
        let metadata = metadata(object);
        metadata.insert("uid".into(), new_uid().into());
        metadata.insert("creationTimestamp".into(), timestamp(self.now).into());
        self.tx.put(resource, object)
    }

    /// Stores an object, if a controller has changed it.
    pub fn update(
        &self,
        resource: &str,
        before: &Json,
        object: &mut Json,
    ) -> Result<bool, Failure> {
        if before == object {
            return Ok(false);
        }
        if before["spec"] != object["spec"] && before["metadata"]["generation"].is_number() {
            let last = before["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default();
            metadata(object).insert("generation".into(), (last + 1).into());
        }
        self.tx.put(resource, object)?;
        Ok(true)
    }

    /// Wakes the controller of an object at once.
    pub fn wake_owner(&self, object: &Json) -> Result<(), Failure> {
        if let Some((resource, owner)) = self.owner(object)? {
            self.wake(&resource, &owner, 0)?;
        }
        Ok(())
    }

    fn owner(&self, object: &Json) -> Result<Option<(String, Json)>, Failure> {
        let mut owners = items(object, "/metadata/ownerReferences").iter();
        let Some(owner) = owners.find(|owner| owner["controller"] == true) else {
            return Ok(None);
        };
        let kind = text(owner, "/kind").unwrap_or_default();
        let resource = format!("{}s.apps", kind.to_lowercase());
        let name = text(owner, "/name").unwrap_or_default();
        let found = self.tx.get(&resource, namespace(object), name)?;
        Ok(found.map(|found| (resource, found)))
    }

    /// Returns the reason if the pods of this pod's workload are stuck.
    pub fn stuck(&self, pod: &Json) -> Result<Option<String>, Failure> {
        // Reads the topmost owner: the objects that it created may have a copy of an earlier state of its annotations.
        let mut top = None;
        let mut owner = self.owner(pod)?;
        while let Some((_, workload)) = owner {
            owner = self.owner(&workload)?;
            top = Some(workload);
        }
        let reason = top.as_ref().and_then(|top| annotation(top, STUCK));
        Ok(reason.map(str::to_owned))
    }

    pub fn pods(&self, owner: &Json) -> Result<Vec<Json>, Failure> {
        self.tx.owned("pods", uid(owner))
    }
}

/// Returns a reference to an owner, for an object that a controller creates.
pub(super) fn owner_reference(resource: &str, owner: &Json) -> Json {
    let resource = Resource::by_key(resource);
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "name": name(owner),
        "uid": uid(owner),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}
