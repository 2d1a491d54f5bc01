use windlass_journal::{Instance, InstanceId, State, Status};

/// How a step has run.
pub(super) enum Shape {
    /// It has not, was skipped, or its items could not be evaluated: all fit.
    Unknown,
    Once,
    /// As a workflow.
    Scope,
    /// For each of these items.
    Each(Vec<InstanceId>),
}

impl Shape {
    /// Returns how a step has run. One that was to run again, and has not or could not, is known by what is inside of it.
    pub fn of(state: &State, id: &InstanceId) -> Self {
        let Some(instance) = state.instance(id).filter(|_| has_begun(state, id)) else {
            return Self::Unknown;
        };
        if let Some(items) = &instance.items {
            return Self::Each(items.iter().map(|(key, _)| id.item(key)).collect());
        }
        let inside = state.inside(id).map(|(other, _)| other);
        let begun = |other: &&InstanceId| other.undone().is_none() && has_begun(state, other);
        let mut begun = inside.filter(begun).peekable();
        match begun.peek() {
            _ if instance.is_scope && instance.status != Status::Pending => Self::Scope,
            // It was skipped, or its items could not be evaluated.
            None if instance.status != Status::Pending && instance.attempt == 0 => Self::Unknown,
            None => Self::Once,
            Some(first) if first.as_str()[id.as_str().len()..].starts_with('[') => {
                let items = begun.filter(|other| other.parent().as_ref() == Some(id));
                Self::Each(items.cloned().collect())
            }
            Some(_) => Self::Scope,
        }
    }
}

/// Lists an execution and what is inside of it, without their undos.
pub(super) fn whole<'s>(
    state: &'s State,
    id: &InstanceId,
) -> impl Iterator<Item = (&'s InstanceId, &'s Instance)> {
    let own = state.steps.get_key_value(id).into_iter();
    own.chain(state.inside(id))
        .filter(|(other, _)| other.undone().is_none())
}

/// Says whether an execution, or what is inside of it, has begun since it was last reset.
pub(super) fn has_begun(state: &State, id: &InstanceId) -> bool {
    whole(state, id)
        .any(|(_, instance)| instance.status != Status::Pending || !instance.effects.is_empty())
}
