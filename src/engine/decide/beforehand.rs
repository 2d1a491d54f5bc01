//! Finds what in a run would fail because of its params alone, before anything is started.

use std::collections::{BTreeMap, HashMap};

use super::{decision::View, scope::Scope};
use windlass_compile::{Action, OnError, Step, StepIndex, Template, Workflow, bind_params};
use windlass_journal::{InstanceId, State};
use windlass_script::Signature;
use windlass_world::value::{Place, StepError, Value};

/// A step that can't begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// The step; for a nested workflow, without its items; `None` for the workflow itself.
    pub step: Option<InstanceId>,
    pub error: StepError,
}

/// Finds the steps that are certain to be reached and certain to fail, whatever the outputs of the steps before them.
/// `state` holds nothing but the run's start; without a target's name, nothing about the target is known.
pub fn troubles(workflow: &Workflow, state: &State) -> Vec<Trouble> {
    let scope = Scope::whole(workflow, state);
    let mut found = Vec::new();
    // No value that is known beforehand depends on the run's id.
    let view = View { state, run_id: "" };
    scope.troubles(view, &mut found);
    found
}

/// Whether a step runs; `None` if that is not known.
pub(super) type Runs = Option<bool>;

impl Scope<'_, '_> {
    fn troubles(&self, view: View, found: &mut Vec<Trouble>) {
        if let Some(lock) = &self.workflow.lock
            && self.knows(view, lock, &Value::Null)
            && let Err(error) = self.text(view, lock, &Value::Null, "lock")
        {
            let step = self.inside.cloned();
            found.push(Trouble { step, error });
        }
        let mut standings = HashMap::new();
        for (index, step) in self.workflow.steps() {
            let id = InstanceId::step(self.inside, step.name.as_str());
            let runs = self.runs(view, index, step, &standings);
            let runs = runs.unwrap_or_else(|error| {
                found.push(Trouble {
                    step: Some(id.clone()),
                    error,
                });
                None
            });
            // A question that is not asked does not stop the steps after it.
            let is_question = matches!(step.action, Action::Approval(_));
            standings.insert(index, if is_question { Some(true) } else { runs });
            if runs == Some(true)
                && step.on_error == OnError::Fail
                && let Err(error) = self.reach(view, &id, step, found)
            {
                found.push(Trouble {
                    step: Some(id),
                    error,
                });
            }
        }
    }

    pub(super) fn runs(
        &self,
        view: View,
        index: StepIndex,
        step: &Step,
        standings: &HashMap<StepIndex, Runs>,
    ) -> Result<Runs, StepError> {
        let before: Vec<Runs> = self
            .workflow
            .dependency_indices(index)
            .filter(|other| self.workflow.step(*other).is_finally == step.is_finally)
            .map(|other| standings.get(&other).copied().flatten())
            .collect();
        let was_stopped = self
            .workflow
            .rank_named(step.name.as_str())
            .is_none_or(|rank| !self.comes_after_left_out(view.state, rank));
        let is_limited = !was_stopped && !before.is_empty();
        if !before.is_empty() && was_stopped && before.iter().all(|runs| *runs == Some(false)) {
            return Ok(Some(false));
        }
        let is_reached = before.is_empty() || is_limited || before.contains(&Some(true));
        let is_known = step
            .when
            .as_ref()
            .is_none_or(|when| self.knows(view, when, &Value::Null));
        if is_reached && is_known {
            match self.condition(view, step, None) {
                Err(_) if step.on_error == OnError::Continue => Ok(None),
                holds => holds.map(Some),
            }
        } else {
            Ok(None)
        }
    }

    /// Checks a step that will run: its items, and the inputs of each.
    fn reach(
        &self,
        view: View,
        id: &InstanceId,
        step: &Step,
        found: &mut Vec<Trouble>,
    ) -> Result<(), StepError> {
        let items = match &step.for_each {
            None => vec![(String::new(), Value::Null)],
            Some(items)
                if self.knows(view, items, &Value::Null)
                    && step
                        .key
                        .as_ref()
                        .is_none_or(|key| self.knows(view, key, &Value::Bool(true))) =>
            {
                self.items(view, step, items, None)?
            }
            Some(_) => return Ok(()),
        };
        for (_, item) in &items {
            let mut inputs = BTreeMap::new();
            for (name, template) in &step.with {
                if self.knows(view, template, item) {
                    inputs.insert(name.clone(), self.evaluate(view, template, item, None)?);
                }
            }
            let is_whole = inputs.len() == step.with.len();
            match &step.action {
                Action::Script(script) => {
                    if let Some(signature) = &script.inputs {
                        fits(signature, &inputs, step)?;
                    }
                }
                Action::Workflow(inner) => {
                    let wrong = |e: String| StepError::new("wrong-type", e);
                    if !is_whole {
                        let params = inputs.iter().filter(|(_, value)| **value != Value::Null);
                        for (name, value) in params {
                            let param = inner.params.get(name);
                            let checked = param.map_or(Ok(()), |param| {
                                param.check(&param.ty.taint(value.clone()))
                            });
                            checked.map_err(|why| {
                                wrong(format!("the param `{name}` does not fit: {why}"))
                                    .at(place_of(step, name))
                            })?;
                        }
                        continue;
                    }
                    let params = bind_params(inner, inputs).map_err(|e| wrong(e.to_string()))?;
                    let before = found.len();
                    let inside = Scope {
                        workflow: inner,
                        inside: Some(id),
                        params: &Value::Map(params),
                        is_finally: self.is_under_finally(step),
                    };
                    inside.troubles(view, found);
                    // The other items would report the same.
                    if found.len() > before {
                        return Ok(());
                    }
                }
                Action::Approval(approval) => self.can_be_asked(view, approval, item)?,
            }
        }
        Ok(())
    }

    /// Says whether everything that a template reads is known before the run begins.
    pub(super) fn knows(&self, view: View, template: &Template, item: &Value) -> bool {
        let has_target = view
            .state
            .run
            .as_ref()
            .is_some_and(|run| !run.target.is_empty());
        let expressions = template.expressions();
        let mut reads = expressions
            .iter()
            .flat_map(|placed| placed.expression.reads());
        reads.all(|read| match read.root {
            "params" => true,
            "item" => *item != Value::Null,
            "target" => has_target,
            _ => false,
        })
    }
}

/// Returns the place of the expression of an input.
fn place_of(step: &Step, input: &str) -> Option<Place> {
    step.with.get(input)?.place()
}

/// Checks the inputs that are known.
fn fits(
    signature: &Signature,
    inputs: &BTreeMap<String, Value>,
    step: &Step,
) -> Result<(), StepError> {
    for (name, value) in inputs {
        let Some(field) = signature.fields.get(name) else {
            continue;
        };
        if *value == Value::Null && !field.is_required() {
            continue;
        }
        field.ty.check(value).map_err(|e| {
            let message = format!("the input `{name}` does not fit: {e}");
            StepError::new("wrong-type", message).at(place_of(step, name))
        })?;
    }
    Ok(())
}
