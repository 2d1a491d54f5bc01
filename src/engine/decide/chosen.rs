//! Runs of a part of a workflow: `--only` and `--until`.

use std::collections::BTreeSet;

use super::scope::Scope;
use windlass_compile::{Action, Step, Template, Workflow};
use windlass_journal::State;

/// Returns the steps up to one: all that it depends on, and itself. `None` if there is no such step.
pub fn steps_until(workflow: &Workflow, name: &str) -> Option<BTreeSet<String>> {
    let mut open = vec![workflow.rank_named(name).map(|rank| workflow.index(rank))?];
    let mut found = BTreeSet::new();
    while let Some(index) = open.pop() {
        if found.insert(workflow.step(index).name.as_str().to_owned()) {
            open.extend(workflow.dependency_indices(index));
        }
    }
    Some(found)
}

/// Returns a step before `name`, directly or indirectly, that asks for an approval, or contains one in its workflow, and is not among
/// the chosen steps.
pub fn approval_left_out(
    workflow: &Workflow,
    name: &str,
    chosen: &BTreeSet<String>,
) -> Option<String> {
    let mut before = steps_until(workflow, name)?;
    before.remove(name);
    before.into_iter().find(|before| {
        let step = workflow.step_named(before);
        !chosen.contains(before) && step.is_some_and(|step| asks(&step.action))
    })
}

fn asks(action: &Action) -> bool {
    match action {
        Action::Approval(_) => true,
        Action::Script(_) => false,
        Action::Workflow(inner) => inner.steps().any(|(_, step)| asks(&step.action)),
    }
}

/// Returns the steps whose outputs a step reads.
pub fn reads_of(step: &Step) -> BTreeSet<String> {
    step.templates()
        .flat_map(|(template, _)| steps_read_by(template))
        .collect()
}

fn steps_read_by(template: &Template) -> Vec<String> {
    let expressions = template.expressions();
    let reads = expressions
        .iter()
        .flat_map(|placed| placed.expression.reads());
    let of_steps = reads.filter(|read| read.root == "steps");
    of_steps
        .filter_map(|read| read.path.first().cloned())
        .collect()
}

impl Scope<'_, '_> {
    /// Says whether the run was started without this step of the workflow itself. Steps under `finally` always run.
    pub(super) fn leaves_out(&self, state: &State, step: &Step) -> bool {
        let is_outermost = self.inside.is_none() && !self.is_under_finally(step);
        let chosen = state
            .run
            .as_ref()
            .map(|run| &run.chosen)
            .filter(|chosen| !chosen.is_empty());
        chosen.is_some_and(|chosen| is_outermost && !chosen.contains(step.name.as_str()))
    }

    /// Says whether all steps before a step were left out: then they do not cause it to be skipped.
    pub(super) fn comes_after_left_out(&self, state: &State, rank: usize) -> bool {
        let index = self.workflow.index(rank);
        self.workflow
            .dependencies(index)
            .all(|(before, _)| self.leaves_out(state, before))
    }

    /// Says whether a template reads a step under `finally`.
    pub(super) fn reads_finally(&self, template: &Template) -> bool {
        let steps = steps_read_by(template);
        let mut steps = steps
            .iter()
            .filter_map(|name| self.workflow.step_named(name));
        steps.any(|step| step.is_finally)
    }

    /// Says whether a template reads a step that was left out.
    pub(super) fn reads_left_out(&self, state: &State, template: &Template) -> bool {
        let steps = steps_read_by(template);
        let mut steps = steps
            .iter()
            .filter_map(|name| self.workflow.step_named(name));
        steps.any(|step| self.leaves_out(state, step))
    }
}
