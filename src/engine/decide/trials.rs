//! Finds the steps of a run that can be tried before it begins: those whose inputs are all known.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{decision::View, scope::Scope};
use windlass_compile::{Action, OnError, Step, Template, Workflow, bind_params};
use windlass_journal::{InstanceId, State};
use windlass_script::{HostCall, Read, Script};
use windlass_world::value::Value;

/// Stands in for the id that the run would get.
const RUN: &str = "RUN";

/// One instance that is known before the run begins.
#[derive(Clone)]
pub struct Trial {
    pub step: InstanceId,
    pub script: Arc<Script>,
    pub inputs: BTreeMap<String, Value>,
    /// The calls that steps before it may make.
    pub before: Arc<BTreeSet<HostCall>>,
    /// Whether the run fails if this instance fails.
    pub is_needed: bool,
}

/// Returns the instances that are certain to be reached if nothing before them fails, and whose inputs are known. `state`
/// holds nothing but the run's start. Steps under `finally` are left out: they depend on how the others end.
pub fn trials(workflow: &Workflow, state: &State) -> Vec<Trial> {
    let mut found = Vec::new();
    let scope = Scope::whole(workflow, state);
    let view = View { state, run_id: RUN };
    scope.trials(view, &Reached::default(), &mut found);
    found
}

/// What is the same for all steps of a scope.
#[derive(Clone, Default)]
struct Reached {
    /// The calls that may be made before the first step of the scope.
    before: BTreeSet<HostCall>,
    is_optional: bool,
}

impl Scope<'_, '_> {
    fn trials(&self, view: View, reached: &Reached, found: &mut Vec<Trial>) {
        let params = self.params.as_map().cloned().unwrap_or_default();
        let mut standings = HashMap::new();
        let mut after: HashMap<_, BTreeSet<HostCall>> = HashMap::new();
        for (index, step) in self.workflow.steps().filter(|(_, step)| !step.is_finally) {
            let runs = self.runs(view, index, step, &standings).unwrap_or(None);
            let is_question = matches!(step.action, Action::Approval(_));
            standings.insert(index, if is_question { Some(true) } else { runs });
            let others = self.workflow.dependency_indices(index);
            let mut before = reached.before.clone();
            before.extend(
                others
                    .filter_map(|other| after.get(&other))
                    .flatten()
                    .cloned(),
            );
            if runs == Some(true) {
                let reached = Reached {
                    before: before.clone(),
                    is_optional: reached.is_optional || step.on_error == OnError::Continue,
                };
                self.trials_of(view, step, &reached, found);
            }
            before.extend(step.known_run_calls(&params));
            after.insert(index, before);
        }
    }

    fn trials_of(&self, view: View, step: &Step, reached: &Reached, found: &mut Vec<Trial>) {
        let id = InstanceId::step(self.inside, step.name.as_str());
        let before = Arc::new(reached.before.clone());
        for (id, item) in self.known_items(view, step, &id) {
            if !step
                .with
                .values()
                .all(|template| self.can_try(view, template, &item))
            {
                continue;
            }
            // Inputs that can't be evaluated are reported before anything is tried.
            let Ok(inputs) = self.inputs(view, step, &item, None) else {
                continue;
            };
            match &step.action {
                Action::Script(script) => found.push(Trial {
                    step: id,
                    script: script.clone(),
                    inputs,
                    before: before.clone(),
                    is_needed: !reached.is_optional,
                }),
                Action::Workflow(inner) => {
                    let Ok(params) = bind_params(inner, inputs) else {
                        continue;
                    };
                    let inside = Scope {
                        workflow: inner,
                        inside: Some(&id),
                        params: &Value::Map(params),
                        is_finally: false,
                    };
                    inside.trials(view, reached, found);
                }
                Action::Approval(_) => {}
            }
        }
    }

    /// Says whether everything that a template reads is known, or, like the run's id, may have any value.
    fn can_try(&self, view: View, template: &Template, item: &Value) -> bool {
        let expressions = template.expressions();
        let mut reads = expressions
            .iter()
            .flat_map(|placed| placed.expression.reads());
        let is_id = |read: &Read| read.root == "run" && read.path == ["id"];
        let reads_id = reads.clone().any(is_id);
        if reads_id {
            reads.all(|read| is_id(read) || read.root == "params")
        } else {
            self.knows(view, template, item)
        }
    }

    /// Returns the instances of a step; none if its items are not known.
    fn known_items(&self, view: View, step: &Step, id: &InstanceId) -> Vec<(InstanceId, Value)> {
        let Some(items) = &step.for_each else {
            return vec![(id.clone(), Value::Null)];
        };
        let is_key_known = || {
            let key = step.key.as_ref();
            key.is_none_or(|key| self.knows(view, key, &Value::Bool(true)))
        };
        if !self.knows(view, items, &Value::Null) || !is_key_known() {
            return Vec::new();
        }
        let items = self.items(view, step, items, None).unwrap_or_default();
        let items = items.into_iter();
        items.map(|(key, item)| (id.item(&key), item)).collect()
    }
}
