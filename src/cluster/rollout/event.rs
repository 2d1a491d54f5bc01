use serde_json::{Value as Json, json};

use super::world::World;
use crate::{
    controllers::Cluster,
    object::{Moment, hash, name, namespace, random, timestamp, uid},
    resource::Resource,
    wire::Failure,
};

/// How long an event is kept, in milliseconds: an hour, the API server's default.
const LIFETIME: Moment = 3_600_000;

/// Whether an event is a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Normal,
    Warning,
}

impl World<'_> {
    /// Records an event about an object, as its component does.
    pub fn event(
        &self,
        resource: &str,
        about: &Json,
        by: (&str, Tone),
        reason: &str,
        message: &str,
    ) -> Result<(), Failure> {
        // Names sort by time, and differ within the same millisecond.
        let suffix = format!("{:x}{:04x}", self.now, u16::from_be_bytes(random()));
        let own = format!("{}.{suffix}", name(about));
        self.record(resource, about, own, by, reason, message)
    }

    /// Records an event that repeats until its cause is gone, and counts its repetitions.
    pub fn event_again(
        &self,
        resource: &str,
        about: &Json,
        by: (&str, Tone),
        reason: &str,
        message: &str,
    ) -> Result<(), Failure> {
        let suffix = hash(&json!([uid(about), reason, message]), 16);
        let own = format!("{}.{suffix}", name(about));
        let Some(mut event) = self.tx.get("events", namespace(about), &own)? else {
            return self.record(resource, about, own, by, reason, message);
        };
        let count = event["count"].as_i64().unwrap_or(1);
        event["count"] = (count + 1).into();
        event["lastTimestamp"] = timestamp(self.now).into();
        self.tx.put("events", &mut event)
    }

    fn record(
        &self,
        resource: &str,
        about: &Json,
        own: String,
        (component, tone): (&str, Tone),
        reason: &str,
        message: &str,
    ) -> Result<(), Failure> {
        let resource = Resource::by_key(resource);
        let at = timestamp(self.now);
        let mut event = json!({
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": own,
                "namespace": namespace(about),
            },
            "involvedObject": {
                "kind": resource.kind,
                "namespace": namespace(about),
                "name": name(about),
                "uid": uid(about),
                "apiVersion": resource.api_version(),
                "resourceVersion": about["metadata"]["resourceVersion"],
            },
            "reason": reason,
            "message": message,
            "source": { "component": component },
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": match tone {
                Tone::Normal => "Normal",
                Tone::Warning => "Warning",
            },
            "eventTime": null,
            "reportingComponent": component,
            "reportingInstance": "",
        });
        self.create("events", &mut event)?;
        self.wake("events", &event, LIFETIME)
    }
}

/// Records a warning about an object, for a component that a controller of another crate simulates.
pub(crate) fn warn(
    cluster: &Cluster,
    resource: &str,
    about: &Json,
    component: &str,
    reason: &str,
    message: &str,
) -> Result<(), Failure> {
    let world = World {
        tx: cluster.tx,
        now: cluster.now(),
        options: cluster.options,
        delay: 0,
    };
    world.event(resource, about, (component, Tone::Warning), reason, message)
}
