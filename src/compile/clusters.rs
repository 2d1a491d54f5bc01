use std::collections::BTreeSet;

use super::graph::Workflow;
use windlass_script::Names;
use windlass_world::value::Value;

/// The reason why the Kubernetes clusters of a workflow can't be determined.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`kube` of the workflow {0}")]
pub struct ClustersError(String);

/// Returns the Kubernetes clusters that a run of a workflow uses, by their roles.
///
/// # Errors
/// A `kube:` that can't be evaluated, or is not a list of names.
pub fn clusters(workflow: &Workflow, params: &Value) -> Result<BTreeSet<String>, ClustersError> {
    let Some(kube) = &workflow.kube else {
        return Ok(BTreeSet::new());
    };
    let names = Names {
        params: params.clone(),
        ..Names::default()
    };
    let found = kube
        .evaluate(&names)
        .map_err(|e| ClustersError(format!("could not be evaluated: {e}")))?;
    let Value::List(items) = found else {
        let why = format!("must be a list of names, not {}", found.a_kind());
        return Err(ClustersError(why));
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(name) if is_role(&name) => Ok(name),
            other => Err(ClustersError(format!(
                "contains {}, which is not a valid cluster name",
                other.to_json()
            ))),
        })
        .collect()
}

/// A role is a key of `windlass.toml`, and the name of a folder.
fn is_role(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
