use serde_json::Value as Json;

use super::{
    compare::Comparison,
    fields::{Fields, Step, step_of},
    managed::{Managed, Manager, bare},
};
use crate::{
    object::{Moment, metadata},
    schema::{ListRule, Schema},
    wire::{Cause, Failure},
};

/// Applies a manager's configuration to an object (server-side apply).
///
/// # Errors
/// A conflict, if the configuration changes a field that other managers own and `force` is off.
pub(crate) fn apply(
    schema: Schema,
    live: &Json,
    config: &Json,
    manager: &Manager,
    force: bool,
    now: Moment,
) -> Result<Json, Failure> {
    let mut managed = Managed::read(live);
    if managed.0.is_empty() {
        managed.begin(schema, live, manager, now);
    }
    let before = managed.clone();
    let last = managed.fields(manager).cloned().unwrap_or_default();
    let mut object = live.clone();
    merge(schema, &mut object, config);
    managed.set(manager, Fields::of(schema, config), now);
    prune(schema, &mut object, &last, &managed.all());
    let change = Comparison::of(schema, &bare(live), &bare(&object));
    if !force {
        refuse_conflicts(&managed, manager, &change)?;
    }
    managed.take(manager, &change);
    managed.keep_times(&before);
    metadata(&mut object).remove("managedFields");
    managed.write(&mut object);
    Ok(object)
}

fn merge(schema: Schema, into: &mut Json, from: &Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) if !schema.is_atomic() => {
            for (name, value) in from {
                let Some(field) = schema.field(name) else {
                    continue;
                };
                merge(field, into.entry(name).or_insert(Json::Null), value);
            }
        }
        (Json::Array(into), Json::Array(from)) if schema.list_rule() != ListRule::Atomic => {
            for item in from {
                let step = step_of(schema, item);
                let mut known = into.iter_mut();
                match known.find(|other| step.is_some() && step_of(schema, other) == step) {
                    Some(known) => merge(schema.item(), known, item),
                    None => into.push(item.clone()),
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Removes the fields that the manager applied last time and that no manager applies now.
fn prune(schema: Schema, value: &mut Json, last: &Fields, owned: &Fields) {
    for (step, last) in &last.inner {
        let owned = owned.inner.get(step);
        match (step, &mut *value) {
            (Step::Field(name), Json::Object(map)) => {
                let Some(field) = schema.field(name) else {
                    continue;
                };
                match (owned, map.get_mut(name)) {
                    (None, _) => {
                        map.remove(name);
                    }
                    (Some(owned), Some(value)) => prune(field, value, last, owned),
                    (Some(_), None) => {}
                }
            }
            (Step::Key(_) | Step::Value(_), Json::Array(list)) => {
                let at = list
                    .iter()
                    .position(|item| step_of(schema, item).as_ref() == Some(step));
                match (owned.filter(|owned| owned.here), at) {
                    (None, Some(at)) => {
                        list.remove(at);
                    }
                    (Some(owned), Some(at)) => prune(schema.item(), &mut list[at], last, owned),
                    (_, None) => {}
                }
            }
            _ => {}
        }
    }
}

fn refuse_conflicts(
    managed: &Managed,
    manager: &Manager,
    change: &Comparison,
) -> Result<(), Failure> {
    let mut conflicts: Vec<(String, Vec<String>)> = managed
        .others(manager)
        .map(|entry| {
            (
                entry.manager.shown(),
                entry.fields.shared(&change.set).paths(),
            )
        })
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    conflicts.sort();
    let causes: Vec<_> = conflicts
        .iter()
        .flat_map(|(who, paths)| {
            let conflict = move |path| Cause::conflict(path, format!("conflict with {who}"));
            paths.iter().map(conflict)
        })
        .collect();
    let message = match (conflicts.as_slice(), causes.len()) {
        ([], _) => return Ok(()),
        ([(who, paths)], 1) => {
            format!(
                "Apply failed with 1 conflict: conflict with {who}: {}",
                paths[0]
            )
        }
        (several, count) => {
            let lines: Vec<_> = several
                .iter()
                .map(|(who, paths)| format!("conflicts with {who}:\n- {}", paths.join("\n- ")))
                .collect();
            format!("Apply failed with {count} conflicts: {}", lines.join("\n"))
        }
    };
    Err(Failure::apply_conflict(message, &causes))
}
