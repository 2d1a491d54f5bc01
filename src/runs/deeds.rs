//! What a run did, for the question whether another run has to be undone first.

use std::collections::{BTreeMap, BTreeSet};

use windlass_engine::execute::reversal_of;
use windlass_ground::Timestamp;
use windlass_journal::State;
use windlass_script::{AuthorityUse, Done, Reversal, authority_use, is_authority};
use windlass_world::{outside::Clients, value::Value};

/// Lists what a run changed outside and an undo would restore, by name, with the time of the run's last change. A file is named with the
/// folder that the run wrote to.
pub(crate) fn changed(state: &State) -> BTreeMap<String, Timestamp> {
    let clients = Clients::nowhere();
    let mut found: BTreeMap<String, Timestamp> = BTreeMap::new();
    let instances = state.steps.iter();
    let forward = instances.filter(|(id, _)| id.undone().is_none());
    let rounds = forward.flat_map(|(_, instance)| instance.rounds());
    for effect in rounds.flat_map(|round| round.effects) {
        if let Some(Reversal::By(way)) = reversal_of(effect, None, &clients) {
            let subject = match (way.is_of_file(), &state.run) {
                (true, Some(run)) => format!("{} in {}", way.subject, run.out),
                _ => way.subject,
            };
            let at = found.entry(subject).or_insert(effect.at);
            *at = effect.at.max(*at);
        }
    }
    found
}

/// What a run did with each CA of AWS Private CA, by its ARN, without its undo; and those that its outputs name.
pub(crate) fn authorities(state: &State) -> BTreeMap<String, BTreeSet<AuthorityUse>> {
    let mut found: BTreeMap<String, BTreeSet<AuthorityUse>> = BTreeMap::new();
    let instances = state.steps.iter();
    let forward = instances.filter(|(id, _)| id.undone().is_none());
    let rounds = forward.flat_map(|(_, instance)| instance.rounds());
    for effect in rounds
        .flat_map(|round| round.effects)
        .filter(|effect| effect.may_be_done())
    {
        let used = authority_use(Done {
            function: &effect.call.function,
            key: None,
            arguments: &effect.call.arguments,
            before: effect.before.as_ref().unwrap_or(&Value::Null),
            result: effect.result(),
        });
        if let Some((used, arn)) = used {
            found.entry(arn).or_default().insert(used);
        }
    }
    let steps = state.steps.values().map(|instance| &instance.outputs);
    for outputs in steps.chain([&state.outputs]) {
        name_authorities(outputs, &mut found);
    }
    found
}

/// Adds the CAs that a value names.
fn name_authorities(value: &Value, found: &mut BTreeMap<String, BTreeSet<AuthorityUse>>) {
    match value {
        Value::String(text) if is_authority(text) => {
            found
                .entry(text.clone())
                .or_default()
                .insert(AuthorityUse::Named);
        }
        Value::List(items) => items.iter().for_each(|item| name_authorities(item, found)),
        Value::Map(map) => map.values().for_each(|item| name_authorities(item, found)),
        _ => {}
    }
}
