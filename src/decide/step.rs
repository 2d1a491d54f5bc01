use crate::{
    compile::{Action, Step, Workflow},
    journal::InstanceId,
};

/// Finds the step that an instance executes, through nested workflows. `None` for an instance of
/// a step that the workflow does not have.
pub fn step_of<'w>(workflow: &'w Workflow, instance: &InstanceId) -> Option<&'w Step> {
    let mut workflow = workflow;
    let mut parts = instance.as_str().split('/').peekable();
    while let Some(part) = parts.next() {
        let step = workflow.step_named(part.split('[').next()?)?;
        match (&step.action, parts.peek()) {
            (_, None) => return Some(step),
            (Action::Workflow(inner), Some(_)) => workflow = inner,
            (Action::Script(_), Some(_)) => return None,
        }
    }
    None
}
