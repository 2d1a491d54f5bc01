use serde_json::{Value as Json, json};

use super::{Call, body, delete::check_preconditions, lifecycle, select::selector_matches};
use crate::{
    object::{name, namespace, number, text},
    rollout::{budget_status, is_ready},
    store::Transaction,
    wire::{Answer, Failure, Verb},
};

/// Deletes a pod, unless its PodDisruptionBudget does not allow it now (policy/v1 Eviction).
///
/// From "API-initiated Eviction" (Kubernetes documentation) and `pkg/registry/core/pod/storage/eviction.go`.
pub(super) fn create(call: &Call) -> Result<Answer, Failure> {
    if call.verb != Verb::Create {
        return Err(Failure::method_not_allowed());
    }
    let eviction = body::read(call)?;
    if text(&eviction, "/metadata/name").is_some_and(|name| name != call.name()) {
        return Err(Failure::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let options = &eviction["deleteOptions"];
    let dry_run = call.is_dry_run()? || options["dryRun"] == json!(["All"]);
    call.service.write(|tx| {
        let pod = tx
            .get(&call.resource.key(), call.namespace(), call.name())?
            .ok_or_else(|| Failure::not_found(&call.resource, call.name()))?;
        check_preconditions(call, &pod, options)?;
        if !is_free(&pod) {
            check_budget(tx, &pod)?;
        }
        if !dry_run {
            let background = lifecycle::Propagation::Background;
            lifecycle::delete(tx, &call.resource.key(), &pod, background, call.now())?;
        }
        Ok(())
    })?;
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    });
    Ok(Answer::Object(201, status))
}

/// Returns whether a pod is not serving requests, so that no budget counts it.
fn is_free(pod: &Json) -> bool {
    text(pod, "/metadata/deletionTimestamp").is_some()
        || matches!(
            text(pod, "/status/phase"),
            Some("Pending" | "Succeeded" | "Failed")
        )
}

fn check_budget(tx: &Transaction, pod: &Json) -> Result<(), Failure> {
    let mut budgets = tx.list("poddisruptionbudgets.policy", Some(namespace(pod)))?;
    let labels = &pod["metadata"]["labels"];
    budgets.retain(|budget| {
        budget["spec"]["selector"].is_object()
            && selector_matches(&budget["spec"]["selector"], labels)
    });
    let budget = match budgets.as_slice() {
        [] => return Ok(()),
        [budget] => budget,
        _ => return Err(Failure::many_budgets()),
    };
    let status = budget_status(tx, budget)?;
    let count = |field: &str| number(&status, &format!("/{field}")).unwrap_or_default();
    let (healthy, wanted) = (count("currentHealthy"), count("desiredHealthy"));
    let ignores_unhealthy = match text(budget, "/spec/unhealthyPodEvictionPolicy") {
        Some("AlwaysAllow") => true,
        _ => healthy >= wanted && wanted > 0,
    };
    if count("disruptionsAllowed") > 0 || (!is_ready(pod) && ignores_unhealthy) {
        Ok(())
    } else {
        Err(Failure::over_budget(name(budget), wanted, healthy))
    }
}
