//! What a run would do, as far as it can be told before any step has outputs.

use super::{decision::View, scope::Scope};
use crate::{
    compile::{Action, Step, Template, Workflow},
    journal::{InstanceId, State},
    script::HostCall,
    value::Value,
};

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
    /// Whether its `when`, and those of what it waits for, let it run.
    pub runs: Foreseen<bool>,
    /// How many items a `for_each` has; `None` without one.
    pub items: Option<Foreseen<usize>>,
    /// What it calls, directly.
    pub calls: Vec<&'w HostCall>,
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
    scope.preview(View { state, run_id }, Foreseen::Known(true), &mut found);
    found
}

impl<'w> Scope<'_, 'w> {
    fn preview(&self, view: View, outer: Foreseen<bool>, found: &mut Vec<Preview<'w>>) {
        let from = found.len();
        for (index, step) in self.workflow.steps() {
            let id = InstanceId::step(self.inside, step.name.as_str());
            let runs_before = |name: &str| {
                let id = InstanceId::step(self.inside, name);
                let before = found[from..].iter().find(|p| p.step == id)?;
                // A question that is not asked stops nobody.
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
            found.push(Preview {
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
                items: step
                    .for_each
                    .as_ref()
                    .map(|items| match self.foresee(view, items) {
                        Foreseen::Known(Value::List(items)) => Foreseen::Known(items.len()),
                        Foreseen::Known(Value::Map(items)) => Foreseen::Known(items.len()),
                        _ => Foreseen::Later,
                    }),
                calls: match &step.action {
                    Action::Script(script) => script.host_calls.iter().collect(),
                    _ => Vec::new(),
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
                inside.preview(view, runs, found);
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
