//! What a run would do, as far as it can be told before any step has outputs.

use std::collections::BTreeMap;

use super::{decision::View, scope::Scope};
use crate::{
    compile::{Action, Step, Template, Workflow},
    journal::{InstanceId, State},
};
use windlass_script::HostCall;
use windlass_world::value::Value;

/// What is known of a value beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen<T> {
    Known(T),
    /// It is only known once the steps that it reads have run.
    Later,
}

/// A step of a run that has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview<'w> {
    /// Of a step in a nested workflow, of all its executions.
    pub step: InstanceId,
    pub does: Does<'w>,
    /// The phase of the workflow's own step that it belongs to.
    pub phase: Option<&'w str>,
    pub description: Option<&'w str>,
    /// The Kubernetes cluster of its inputs, where that is known.
    pub cluster: Option<String>,
    /// The names of its items, where these are known.
    pub names: Vec<String>,
    /// Whether its `when`, and those of what it waits for, let it run.
    pub runs: Foreseen<bool>,
    /// How many items a `for_each` has; `None` without one.
    pub items: Option<Foreseen<usize>>,
    /// What it calls, directly, with what is known of the arguments.
    pub calls: Vec<HostCall>,
    /// The same of the `fn undo` of its script: what an undo of it calls.
    pub undo_calls: Vec<HostCall>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does<'w> {
    Script(&'w str),
    Workflow(&'w str),
    /// The question, where it can be told.
    Asks(Option<String>),
}

/// Foresees a run: its steps in an order in which they may run, those of nested workflows below
/// their step. `state` holds nothing but the run's start.
pub fn preview<'w>(workflow: &'w Workflow, state: &State, run_id: &str) -> Vec<Preview<'w>> {
    let scope = Scope::whole(workflow, state);
    let mut found = Vec::new();
    let view = View { state, run_id };
    let params = state.run.as_ref().and_then(|run| run.params.as_map());
    let known = params.cloned().unwrap_or_default();
    scope.preview(view, Foreseen::Known(true), None, &known, &mut found);
    found
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
                // A question that is not asked holds up nothing.
                (!matches!(before.does, Does::Asks(_))).then_some(before.runs)
            };
            let before: Vec<_> = self
                .workflow
                .dependencies(index)
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
                names: items.as_ref().map_or_else(Vec::new, names),
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
                calls: match is_script {
                    true => step.known_run_calls(known).into_iter().collect(),
                    false => Vec::new(),
                },
                undo_calls: match is_script {
                    true => step.known_undo_calls(known).into_iter().collect(),
                    false => Vec::new(),
                },
                step: id.clone(),
            });
            if let Action::Workflow(inner) = &step.action {
                // Its params come of a step's inputs: nothing of them is known for all items.
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
        let is_known = |root: &str| match root {
            "params" => *self.params != Value::Null,
            "target" => true,
            _ => false,
        };
        let expressions = template.expressions();
        let mut reads = expressions
            .iter()
            .flat_map(|placed| placed.expression.reads());
        match reads.all(|read| is_known(read.root)) {
            true => self
                .evaluate(view, template, &Value::Null, None)
                .map_or(Foreseen::Later, Foreseen::Known),
            false => Foreseen::Later,
        }
    }
}

/// The items of a `for_each` that name themselves.
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
