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
    prune(schema, &mut object, &last, &kept(&managed));
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

/// Returns the fields that the present managers keep. The name is one of them, since every configuration applies it although
/// no entry records it; without it, the metadata would go with the last label.
fn kept(managed: &Managed) -> Fields {
    let mut kept = managed.all();
    kept.insert(&["metadata", "name"].map(|name| Step::Field(name.into())));
    kept
}

/// Removes the fields that the manager applied last time and that no manager applies now. A struct in which no manager has a
/// field left is removed as a whole, with its defaults.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(live: &Json, config: &Json) -> Json {
        let manager = Manager {
            name: "one".into(),
            applies: true,
            api_version: "v1".into(),
            subresource: String::new(),
        };
        apply(
            Schema::built_in("apps", "Deployment"),
            live,
            config,
            &manager,
            false,
            0,
        )
        .unwrap()
    }

    #[test]
    fn the_metadata_stays_when_its_last_applied_field_goes() {
        let live = json!({ "metadata": { "name": "a", "namespace": "n", "uid": "u" } });
        for (field, value) in [
            ("labels", json!({ "a": "b" })),
            ("annotations", json!({ "a": "b" })),
            ("finalizers", json!(["a.b/c"])),
            (
                "ownerReferences",
                json!([{ "apiVersion": "v1", "kind": "A", "name": "a", "uid": "v" }]),
            ),
        ] {
            let mut config = json!({ "metadata": { "name": "a" } });
            config["metadata"][field] = value;
            let mut owned = live.clone();
            owned["metadata"]["managedFields"] =
                json!([{ "manager": "two", "operation": "Update" }]);
            let with = applied(&owned, &config);
            assert!(
                with["metadata"][field] == config["metadata"][field],
                "{with}"
            );
            let without = applied(&with, &json!({ "metadata": { "name": "a" } }));
            assert_eq!(without, live, "{field}");
        }
    }

    #[test]
    fn a_struct_that_no_manager_applies_goes_with_its_defaults() {
        let place = "/spec/template/spec/containers/0";
        let config = |container: Json| {
            json!({ "metadata": { "name": "a" }, "spec": { "template": { "spec": {
                "containers": [container],
            } } } })
        };
        let probed =
            config(json!({ "name": "m", "livenessProbe": { "tcpSocket": { "port": 1 } } }));
        let mut live = applied(&json!({ "metadata": { "name": "a" } }), &probed);
        live.pointer_mut(place).unwrap()["livenessProbe"]["periodSeconds"] = 10.into();
        live.pointer_mut(place).unwrap()["image"] = "i".into();
        let after = applied(&live, &config(json!({ "name": "m" })));
        assert_eq!(
            after.pointer(place).unwrap(),
            &json!({ "name": "m", "image": "i" })
        );
    }
}
