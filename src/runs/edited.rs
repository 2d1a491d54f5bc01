//! An edit of a run: other files, and the params for them.

use std::collections::{BTreeMap, BTreeSet};

use windlass_compile::{ParamErrors, Program, Workflow, bind_params, refuse_nulls};
use windlass_journal::{RunEdited, RunInfo, State};
use windlass_world::value::{Digest, Value};

/// Returns the params with which a run continues in a workflow: its own, as far as the workflow still has them, and the `given` ones.
///
/// # Errors
/// Params that the workflow refuses.
pub fn params_now(
    run: &RunInfo,
    workflow: &Workflow,
    given: BTreeMap<String, Value>,
) -> Result<Value, ParamErrors> {
    refuse_nulls(workflow, &given)?;
    let mut params = match &run.params {
        Value::Map(params) => params.clone(),
        _ => BTreeMap::new(),
    };
    params.retain(|name, _| workflow.params.contains_key(name));
    params.extend(given);
    Ok(Value::Map(bind_params(workflow, params)?))
}

/// Returns the event of an edit; the person who makes it is added when it is recorded. `kube` are the clusters that the run uses now,
/// `secrets` is the keyed digest of the secrets among the params.
pub fn edited(
    run: &RunInfo,
    program: &Program,
    params: Value,
    mut kube: BTreeSet<String>,
    secrets: Option<Digest>,
) -> RunEdited {
    if !kube.is_empty() {
        // An undo also reverses effects in clusters that the run no longer uses.
        kube.extend(run.kube.iter().cloned());
    }
    RunEdited {
        requester: String::new(),
        program: program.digest,
        main: program.main.clone(),
        edition: run.edition + 1,
        kube,
        params,
        secrets,
        is_strict: true,
    }
}

/// Returns the state that a run has after an edit, if there is one.
pub fn after_edit(state: &State, edit: Option<&RunEdited>) -> State {
    let mut state = state.clone();
    if let (Some(edited), Some(run)) = (edit, &mut state.run) {
        run.edit(edited);
    }
    state
}
