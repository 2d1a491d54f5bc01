//! Validation of Deployments, DaemonSets and StatefulSets.

use serde_json::Value as Json;

use super::{budget::share, metadata, pod};
use crate::{
    api::selector_matches,
    object::{number, text},
    resource::Resource,
    wire::Cause,
};

pub(super) fn check(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    for field in [
        "replicas",
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        if number(spec, &format!("/{field}")).is_some_and(|count| count < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("spec.{field}"), &spec[field], why));
        }
    }
    let labels = &spec["template"]["metadata"]["labels"];
    metadata::labels(labels, "spec.template.metadata.labels", &mut causes);
    match &spec["selector"] {
        Json::Object(selector) if !selector.is_empty() => {
            if !selector_matches(&spec["selector"], labels) {
                let why = "`selector` does not match template `labels`";
                let shown = match labels {
                    Json::Null => &Json::Object(serde_json::Map::new()),
                    labels => labels,
                };
                causes.push(Cause::invalid("spec.template.metadata.labels", shown, why));
            }
        }
        Json::Object(_) => {
            let why = "empty selector is invalid for deployment";
            causes.push(Cause::invalid(
                "spec.selector",
                &spec["selector"],
                &why.replace("deployment", &resource.singular),
            ));
        }
        _ => causes.push(Cause::required("spec.selector", "")),
    }
    if resource.kind == "Deployment" {
        deployment(spec, &mut causes);
    }
    pod::template(spec, &mut causes);
    causes
}

fn deployment(spec: &Json, causes: &mut Vec<Cause>) {
    let strategy = &spec["strategy"];
    match text(strategy, "/type") {
        Some("RollingUpdate") => {
            let rolling = &strategy["rollingUpdate"];
            for (field, at_most_all) in [("maxUnavailable", true), ("maxSurge", false)] {
                let place = format!("spec.strategy.rollingUpdate.{field}");
                share(&rolling[field], &place, at_most_all, causes);
            }
            let zero = |value: &Json| value == 0 || value == "0%";
            if zero(&rolling["maxSurge"]) && zero(&rolling["maxUnavailable"]) {
                let why = "may not be 0 when `maxSurge` is 0";
                let place = "spec.strategy.rollingUpdate.maxUnavailable";
                causes.push(Cause::invalid(place, &rolling["maxUnavailable"], why));
            }
        }
        Some("Recreate") if strategy["rollingUpdate"].is_object() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
        }
        Some("Recreate") => {}
        _ => causes.push(Cause::unsupported(
            "spec.strategy.type",
            &strategy["type"],
            &["Recreate", "RollingUpdate"],
        )),
    }
    let least = number(spec, "/minReadySeconds").unwrap_or_default();
    if number(spec, "/progressDeadlineSeconds").is_some_and(|deadline| deadline <= least) {
        let why = "must be greater than minReadySeconds";
        causes.push(Cause::invalid(
            "spec.progressDeadlineSeconds",
            &spec["progressDeadlineSeconds"],
            why,
        ));
    }
}

/// Checks that the immutable fields did not change.
pub(super) fn update(resource: &Resource, before: &Json, object: &Json) -> Vec<Cause> {
    const OF_STATEFUL_SETS: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    if resource.kind == "StatefulSet" {
        let fixed = |object: &Json| {
            let mut spec = object["spec"].clone();
            for field in OF_STATEFUL_SETS {
                spec.as_object_mut().map(|spec| spec.remove(field));
            }
            spec
        };
        if fixed(before) != fixed(object) {
            let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            return vec![Cause::forbidden("spec", why)];
        }
        return Vec::new();
    }
    if before["spec"]["selector"] != object["spec"]["selector"] {
        let selector = &object["spec"]["selector"];
        return vec![Cause::invalid(
            "spec.selector",
            selector,
            "field is immutable",
        )];
    }
    Vec::new()
}
