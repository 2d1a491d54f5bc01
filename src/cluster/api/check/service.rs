//! Validation of Services: an address and ports. Nothing listens on them; they exist because manifests contain them.

use serde_json::Value as Json;

use crate::{
    object::{items, number, text},
    wire::Cause,
};

pub(super) fn check(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    // The other types open ports on nodes or request an address from a cloud provider; this cluster has neither.
    if text(spec, "/type") != Some("ClusterIP") {
        let why = "the rehearsal cluster supports only ClusterIP";
        causes.push(Cause::invalid("spec.type", &spec["type"], why));
    }
    let ports = items(spec, "/ports");
    if ports.is_empty() && text(spec, "/clusterIP") != Some("None") {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (i, port) in ports.iter().enumerate() {
        if !number(port, "/port").is_some_and(|port| (1..=65535).contains(&port)) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(
                format!("spec.ports[{i}].port"),
                &port["port"],
                why,
            ));
        }
        if ports.len() > 1 && text(port, "/name").is_none() {
            causes.push(Cause::required(format!("spec.ports[{i}].name"), ""));
        }
    }
    causes
}

/// Checks that the address of a Service did not change.
pub(super) fn update(before: &Json, object: &Json) -> Vec<Cause> {
    let of = |object: &Json| object["spec"]["clusterIP"].clone();
    if of(before) == of(object) {
        Vec::new()
    } else {
        vec![Cause::invalid(
            "spec.clusterIPs[0]",
            &of(object),
            "field is immutable",
        )]
    }
}
