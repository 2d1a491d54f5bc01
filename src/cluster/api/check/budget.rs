//! Validation of PodDisruptionBudgets and NetworkPolicies.

use serde_json::Value as Json;

use crate::{object::items, wire::Cause};

pub(super) fn budget(object: &Json) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        causes.push(Cause::invalid("spec", spec, why));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        share(&spec[field], &format!("spec.{field}"), true, &mut causes);
    }
    causes
}

/// Checks a number or a percentage of pods.
pub(super) fn share(value: &Json, place: &str, at_most_all: bool, causes: &mut Vec<Cause>) {
    let Some(text) = value.as_str() else {
        if value.as_i64().is_some_and(|count| count < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(place, value, why));
        }
        return;
    };
    let percent = text.strip_suffix('%').map(str::parse::<u32>);
    match percent {
        Some(Ok(percent)) if percent > 100 && at_most_all => {
            causes.push(Cause::invalid(
                place,
                value,
                "must not be greater than 100%",
            ));
        }
        Some(Ok(_)) => {}
        _ => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            causes.push(Cause::invalid(place, value, why));
        }
    }
}

pub(super) fn network_policy(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    for way in ["ingress", "egress"] {
        for (i, rule) in items(object, &format!("/spec/{way}")).iter().enumerate() {
            for (j, port) in items(rule, "/ports").iter().enumerate() {
                let place = format!("spec.{way}[{i}].ports[{j}].port");
                let port = &port["port"];
                if port
                    .as_i64()
                    .is_some_and(|port| !(1..=65535).contains(&port))
                {
                    let why = "must be between 1 and 65535, inclusive";
                    causes.push(Cause::invalid(place, port, why));
                }
            }
        }
    }
    causes
}
