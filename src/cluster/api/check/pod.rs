//! Validation of the pods that a workload makes (`ValidatePodTemplateSpec` of Kubernetes).

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{container, name, volume};
use crate::{
    object::{items, number, text},
    wire::Cause,
};

const PLACE: &str = "spec.template.spec";

/// Checks the template of a workload's pods.
pub(super) fn template(workload: &Json, causes: &mut Vec<Cause>) {
    let spec = &workload["template"]["spec"];
    volume::volumes(spec, PLACE, causes);
    containers(workload, spec, causes);
    container::one_of(
        spec,
        "dnsPolicy",
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        PLACE,
        causes,
    );
    container::one_of(spec, "restartPolicy", &["Always"], PLACE, causes);
    if number(spec, "/terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        causes.push(Cause::invalid(
            format!("{PLACE}.terminationGracePeriodSeconds"),
            &spec["terminationGracePeriodSeconds"],
            "must be greater than or equal to 0",
        ));
    }
    if let Some(account) = text(spec, "/serviceAccountName").filter(|own| !own.is_empty())
        && let Some(why) = name::subdomain(account)
    {
        let place = format!("{PLACE}.serviceAccountName");
        causes.push(Cause::invalid(place, &account.into(), &why));
    }
    tolerations(spec, causes);
}

fn containers(workload: &Json, spec: &Json, causes: &mut Vec<Cause>) {
    if items(spec, "/containers").is_empty() {
        causes.push(Cause::required(format!("{PLACE}.containers"), ""));
    }
    // The claims of a StatefulSet are volumes, too.
    let claims = items(workload, "/volumeClaimTemplates").iter();
    let claims = claims.filter_map(|claim| text(claim, "/metadata/name"));
    let volumes = items(spec, "/volumes").iter();
    let volumes = volumes.filter_map(|volume| text(volume, "/name"));
    let volumes: BTreeSet<_> = volumes.chain(claims).collect();
    let mut names = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for (i, one) in items(spec, &format!("/{list}")).iter().enumerate() {
            let place = format!("{PLACE}.{list}[{i}]");
            container::own_name(one, &mut names, &place, causes);
            if text(one, "/image").is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("{place}.image"), ""));
            }
            container::check(one, &volumes, &place, causes);
        }
    }
}

fn tolerations(spec: &Json, causes: &mut Vec<Cause>) {
    for (i, toleration) in items(spec, "/tolerations").iter().enumerate() {
        let place = format!("{PLACE}.tolerations[{i}]");
        let has = |field: &str| {
            toleration[field]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        };
        let operator = text(toleration, "/operator").unwrap_or("Equal");
        let why = match operator {
            "Exists" if has("value") => "value must be empty when `operator` is 'Exists'",
            "Exists" => continue,
            _ if !has("key") => {
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\""
            }
            _ => continue,
        };
        let operator = operator.into();
        causes.push(Cause::invalid(format!("{place}.operator"), &operator, why));
    }
}
