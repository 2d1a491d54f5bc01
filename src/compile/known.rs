use std::collections::{BTreeMap, BTreeSet};

use super::{
    graph::{Action, Step, Workflow},
    template::Template,
};
use windlass_script::{HostCall, Names, Script};
use windlass_world::value::Value;

/// Some of the calls of a script.
type CallsOf = fn(&Script) -> &BTreeSet<HostCall>;

impl Workflow {
    /// Lists the calls to host functions in its scripts and in those of nested workflows, with the arguments that follow from the
    /// files and these params. A param that is not given may have any value.
    pub fn known_calls(&self, params: &BTreeMap<String, Value>) -> BTreeSet<HostCall> {
        let steps = self.steps();
        steps
            .flat_map(|(_, step)| step.known_calls(params))
            .collect()
    }
}

impl Step {
    /// Like [`Workflow::known_calls`], for one step of a workflow with these params.
    pub fn known_calls(&self, params: &BTreeMap<String, Value>) -> BTreeSet<HostCall> {
        self.known_of(params, |script| &script.host_calls)
    }

    /// Like [`Step::known_calls`], without the calls that only an undo makes.
    pub fn known_run_calls(&self, params: &BTreeMap<String, Value>) -> BTreeSet<HostCall> {
        self.known_of(params, |script| &script.run_calls)
    }

    /// Like [`Step::known_calls`], but only for the step's own `fn undo`.
    pub fn known_undo_calls(&self, params: &BTreeMap<String, Value>) -> BTreeSet<HostCall> {
        self.known_of(params, |script| &script.undo_calls)
    }

    fn known_of(&self, params: &BTreeMap<String, Value>, calls: CallsOf) -> BTreeSet<HostCall> {
        let inputs = self.known_inputs(params);
        match &self.action {
            Action::Script(script) => {
                let calls = calls(script).iter();
                calls.map(|call| call.with_inputs(&inputs)).collect()
            }
            Action::Workflow(inner) => {
                let steps = inner.steps();
                steps
                    .flat_map(|(_, step)| step.known_of(&inputs, calls))
                    .collect()
            }
            Action::Approval(_) => BTreeSet::new(),
        }
    }

    /// Returns the inputs of its script or workflow that follow from these params of the workflow, including defaults.
    pub fn known_inputs(&self, params: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let mut inputs = known_inputs(self, params);
        let defaults: Vec<_> = match &self.action {
            Action::Script(script) => {
                let declared = script.inputs.iter().flat_map(|inputs| &inputs.fields);
                declared
                    .map(|(name, field)| (name, &field.default))
                    .collect()
            }
            Action::Workflow(inner) => {
                let declared = inner.params.iter();
                declared
                    .map(|(name, param)| (name, &param.default))
                    .collect()
            }
            Action::Approval(_) => Vec::new(),
        };
        for (name, default) in defaults {
            if !self.with.contains_key(name) {
                inputs.extend(default.clone().map(|value| (name.clone(), value)));
            }
        }
        inputs
    }
}

/// Returns the inputs that a step gives to its script or workflow, as far as they follow from the params. Null values are left
/// out: a default may replace them.
fn known_inputs(step: &Step, params: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let names = Names {
        params: Value::Map(params.clone()),
        ..Names::default()
    };
    let known = step.with.iter().filter_map(|(name, template)| {
        let value = if follows_from(template, params) {
            template.evaluate(&names).ok()?
        } else {
            return None;
        };
        (value != Value::Null).then(|| (name.clone(), value))
    });
    known.collect()
}

/// Says whether a template reads nothing but these params.
fn follows_from(template: &Template, params: &BTreeMap<String, Value>) -> bool {
    let expressions = template.expressions();
    let mut reads = expressions
        .iter()
        .flat_map(|placed| placed.expression.reads());
    reads.all(|read| {
        let name = read.path.first();
        read.root == "params" && name.is_some_and(|name| params.contains_key(name))
    })
}
