use super::scope::Scope;
use windlass_compile::{Action, Step, Workflow};
use windlass_journal::{InstanceId, State};
use windlass_world::value::Value;

/// Finds the step of an instance (or of the undo of one), through nested workflows. `None` if the workflow does not have
/// the step.
pub fn step_of<'w>(workflow: &'w Workflow, instance: &InstanceId) -> Option<&'w Step> {
    place_of(workflow, instance).map(|(_, step)| step)
}

/// Finds the step of an instance, and the workflow that contains it.
fn place_of<'w>(workflow: &'w Workflow, instance: &InstanceId) -> Option<(&'w Workflow, &'w Step)> {
    let mut workflow = workflow;
    let mut parts = instance.segments().peekable();
    while let Some(part) = parts.next() {
        let step = workflow.step_named(part.name)?;
        match (&step.action, parts.peek()) {
            (_, None) => return Some((workflow, step)),
            (Action::Workflow(inner), Some(_)) => workflow = inner,
            (Action::Script(_) | Action::Approval(_), Some(_)) => return None,
        }
    }
    None
}

impl<'a> Scope<'a, 'a> {
    /// Returns the scope of an instance, its step, and its item (null outside of `for_each`).
    pub(super) fn around(
        workflow: &'a Workflow,
        state: &'a State,
        id: &InstanceId,
    ) -> Option<(Self, &'a Step, Value)> {
        let (workflow, step) = place_of(workflow, id)?;
        let whole = if id.is_item() {
            id.parent()?
        } else {
            id.clone()
        };
        let item = state.instance(&whole).and_then(|whole| {
            let position = whole.item_instances.position(id.as_str())?;
            Some(whole.items.as_ref()?.get(position)?.1.clone())
        });
        let item = item.unwrap_or_default();
        let (inside, params) = match whole.parent() {
            None => (None, &state.run.as_ref()?.params),
            Some(outer) => {
                let (id, instance) = state.steps.get_key_value(&outer)?;
                (Some(id), &instance.inputs)
            }
        };
        let scope = Self {
            workflow,
            inside,
            params,
            is_finally: false,
        };
        Some((scope, step, item))
    }
}
