use windlass_compile::{Action, Workflow};
use windlass_journal::{InstanceId, State};

/// Returns how many instances of a workflow have ended, and how many there will be, as far as is known: a `for_each` that has not been
/// reached counts as one.
pub(super) fn tally(workflow: &Workflow, state: &State) -> (u64, u64) {
    tally_in(workflow, None, state)
}

fn tally_in(workflow: &Workflow, inside: Option<&InstanceId>, state: &State) -> (u64, u64) {
    workflow.steps().fold((0, 0), |(done, all), (_, step)| {
        let id = InstanceId::step(inside, step.name.as_str());
        let instance = state.instance(&id);
        let units = match instance.and_then(|i| i.items.as_ref()) {
            Some(items) => items.iter().map(|(key, _)| id.item(key)).collect(),
            None => vec![id.clone()],
        };
        let is_settled = instance.is_some_and(|i| i.status.is_settled() && !i.is_composite());
        let parts = units.iter().map(|unit| match &step.action {
            Action::Workflow(inner) if !is_settled => tally_in(inner, Some(unit), state),
            _ => (u64::from(state.status(unit).is_settled()), 1),
        });
        parts.fold((done, all), |(done, all), (d, a)| (done + d, all + a))
    })
}
