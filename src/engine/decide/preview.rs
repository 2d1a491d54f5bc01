//! Shows what a run would do, as far as that is known before it begins.

use std::collections::BTreeMap;

use super::{decision::View, scope::Scope};
use windlass_compile::{Action, Step, Template, Workflow};
use windlass_journal::{InstanceId, State, Status};
use windlass_script::{HostCall, Read};
use windlass_world::value::Value;

/// What is known of a value before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen<T> {
    Known(T),
    /// It is only known after the steps that it reads have run.
    Later,
}

/// A step of a run that has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview<'w> {
    /// The step; for a nested workflow, without its items.
    pub step: InstanceId,
    pub does: Does<'w>,
    /// The phase of the workflow's own step that contains it.
    pub phase: Option<&'w str>,
    pub description: Option<&'w str>,
    /// The Kubernetes cluster in its inputs, if known.
    pub cluster: Option<String>,
    /// The names of its items, if known.
    pub names: Vec<String>,
    /// Whether its `when`, and the steps that it waits for, let it run.
    pub runs: Foreseen<bool>,
    /// How many items a `for_each` has; `None` without one.
    pub items: Option<Foreseen<usize>>,
    /// The calls of its script, with what is known of the arguments.
    pub calls: Vec<HostCall>,
    /// The calls of its script's `fn undo`, which an undo of it makes.
    pub undo_calls: Vec<HostCall>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does<'w> {
    Script(&'w str),
    Workflow(&'w str),
    /// The question, if it is known.
    Asks(Option<String>),
}

/// Previews a run: its steps in an order in which they may run, those of nested workflows after their step. `state`
/// holds the run's start and, if they were run for the preview, the outputs of steps that only read.
pub fn preview<'w>(workflow: &'w Workflow, state: &State, run_id: &str) -> Vec<Preview<'w>> {
    let scope = Scope::whole(workflow, state);
    let mut found = Vec::new();
    let view = View { state, run_id };
    let params = state.run.as_ref().and_then(|run| run.params.as_map());
    let known = params.cloned().unwrap_or_default();
    scope.preview(view, Foreseen::Known(true), None, &known, &mut found);
    found
}

/// Evaluates what each phase replaces, by the names of the phases; leaves out the phases for which `state` does not show it.
pub fn replaced(workflow: &Workflow, state: &State, run_id: &str) -> BTreeMap<String, Value> {
    let scope = Scope::whole(workflow, state);
    let view = View { state, run_id };
    let phases = workflow.phases.iter();
    phases
        .filter_map(
            |phase| match scope.foresee(view, phase.replaces.as_ref()?) {
                Foreseen::Known(value) => Some((phase.name.clone(), value)),
                Foreseen::Later => None,
            },
        )
        .collect()
}

impl<'w> Scope<'_, 'w> {
    fn preview(
        &self,
        view: View,
        outer: Foreseen<bool>,
        phase: Option<&'w str>,
        known: &BTreeMap<String, Value>,
        found: &mut Vec<Preview<'w>>,
    ) {
        let from = found.len();
        for (index, step) in self.workflow.steps() {
            let id = InstanceId::step(self.inside, step.name.as_str());
            let runs_before = |name: &str| {
                let id = InstanceId::step(self.inside, name);
                let before = found[from..].iter().find(|p| p.step == id)?;
                // A question that is not asked does not stop the steps after it.
                (!matches!(before.does, Does::Asks(_))).then_some(before.runs)
            };
            let before: Vec<_> = self
                .workflow
                .dependencies(index)
                // Steps under `finally` run regardless of how the others ended.
                .filter(|(other, _)| other.is_finally == step.is_finally)
                .map(|(other, _)| runs_before(other.name.as_str()))
                .collect();
            let is_cut_off = !before.is_empty()
                && before
                    .iter()
                    .all(|runs| *runs == Some(Foreseen::Known(false)));
            let runs = match (outer, is_cut_off) {
                (Foreseen::Known(false), _) | (_, true) => Foreseen::Known(false),
                _ => self.foresee_condition(view, step),
            };
            let phase = phase.or(step.phase.as_deref());
            let items = step.for_each.as_ref();
            let items = items.map(|items| self.foresee(view, items));
            let cluster = step.with.get("cluster");
            let is_script = matches!(step.action, Action::Script(_));
            found.push(Preview {
                phase,
                description: step.description.as_deref(),
                cluster: match cluster.map(|cluster| self.foresee(view, cluster)) {
                    Some(Foreseen::Known(Value::String(cluster))) => Some(cluster),
                    _ => None,
                },
                names: self.names(view, step, items.as_ref()),
                does: match &step.action {
                    Action::Script(script) => Does::Script(&script.path),
                    Action::Workflow(inner) => Does::Workflow(&inner.path),
                    Action::Approval(approval) => {
                        Does::Asks(match self.foresee(view, &approval.question) {
                            Foreseen::Known(Value::String(question)) => Some(question),
                            _ => None,
                        })
                    }
                },
                runs,
                items: items.map(|items| match items {
                    Foreseen::Known(Value::List(items)) => Foreseen::Known(items.len()),
                    Foreseen::Known(Value::Map(items)) => Foreseen::Known(items.len()),
                    _ => Foreseen::Later,
                }),
                calls: if is_script {
                    step.known_run_calls(known).into_iter().collect()
                } else {
                    Vec::new()
                },
                undo_calls: if is_script {
                    step.known_undo_calls(known).into_iter().collect()
                } else {
                    Vec::new()
                },
                step: id.clone(),
            });
            if let Action::Workflow(inner) = &step.action {
                // Its params come from a step's inputs, so none of them is known for all items.
                let inside = Scope {
                    workflow: inner,
                    inside: Some(&id),
                    params: &Value::Null,
                    is_finally: self.is_under_finally(step),
                };
                inside.preview(view, runs, phase, &step.known_inputs(known), found);
            }
        }
    }

    fn foresee_condition(&self, view: View, step: &Step) -> Foreseen<bool> {
        let Some(when) = &step.when else {
            return Foreseen::Known(true);
        };
        match self.foresee(view, when) {
            Foreseen::Known(Value::Bool(holds)) => Foreseen::Known(holds),
            _ => Foreseen::Later,
        }
    }

    fn foresee(&self, view: View, template: &Template) -> Foreseen<Value> {
        let has_ended = |name: &String| {
            let id = InstanceId::step(self.inside, name);
            matches!(view.state.status(&id), Status::Succeeded | Status::Skipped)
        };
        let is_known = |read: &Read| match read.root {
            "params" => *self.params != Value::Null,
            "target" => true,
            "steps" => read.path.first().is_some_and(has_ended),
            _ => false,
        };
        let expressions = template.expressions();
        let mut reads = expressions
            .iter()
            .flat_map(|placed| placed.expression.reads());
        if reads.all(is_known) {
            self.evaluate(view, template, &Value::Null, None)
                .map_or(Foreseen::Later, Foreseen::Known)
        } else {
            Foreseen::Later
        }
    }

    /// Returns the names of a step's items, if they are known and have names.
    fn names(&self, view: View, step: &Step, items: Option<&Foreseen<Value>>) -> Vec<String> {
        match (&step.for_each, &step.key, items) {
            (Some(template), Some(_), Some(Foreseen::Known(_))) => {
                let keyed = self.items(view, step, template, None).unwrap_or_default();
                keyed.into_iter().map(|(key, _)| key).collect()
            }
            (.., items) => items.map_or_else(Vec::new, names),
        }
    }
}

/// Returns the names of the items of a `for_each` that have names.
fn names(items: &Foreseen<Value>) -> Vec<String> {
    match items {
        Foreseen::Known(Value::List(items)) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        Foreseen::Known(Value::Map(items)) => items.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
