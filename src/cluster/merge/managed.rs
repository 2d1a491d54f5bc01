use serde_json::{Value as Json, json};

use super::compare::Comparison;
use super::fields::Fields;
use crate::{
    object::{Moment, items, metadata, timestamp},
    schema::Schema,
};

/// Fields that the server sets, and that no manager owns.
const UNMANAGED: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// The manager that owns the fields which had no owner before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who changes an object, and how.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    pub name: String,
    pub applies: bool,
    pub api_version: String,
    /// Empty for the object itself.
    pub subresource: String,
}

/// An entry of `metadata.managedFields`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub manager: Manager,
    time: String,
    pub fields: Fields,
}

impl Manager {
    /// Returns whether two managers share an entry. For applies, this does not depend on the API version.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.applies == other.applies
            && self.subresource == other.subresource
            && (self.applies || self.api_version == other.api_version)
    }

    /// Returns the manager as messages about conflicts write it.
    pub fn shown(&self) -> String {
        let mut shown = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            shown.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            shown.push_str(&format!(" using {}", self.api_version));
        }
        shown
    }
}

/// The ownership of fields: `metadata.managedFields`.
#[derive(Clone, Debug, Default)]
pub(super) struct Managed(pub Vec<Entry>);

impl Managed {
    pub fn read(object: &Json) -> Self {
        let entries = items(object, "/metadata/managedFields").iter();
        let string = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        Self(
            entries
                .filter(|entry| entry["manager"].is_string() || entry["operation"].is_string())
                .map(|entry| Entry {
                    manager: Manager {
                        name: string(&entry["manager"]),
                        applies: entry["operation"] == "Apply",
                        api_version: string(&entry["apiVersion"]),
                        subresource: string(&entry["subresource"]),
                    },
                    time: string(&entry["time"]),
                    fields: Fields::read(&entry["fieldsV1"]),
                })
                .collect(),
        )
    }

    pub fn write(mut self, object: &mut Json) {
        self.0.retain(|entry| !entry.fields.is_empty());
        if self.0.is_empty() {
            metadata(object).remove("managedFields");
            return;
        }
        self.0.sort_by(|a, b| {
            let key = |e: &Entry| (!e.manager.applies, e.time.clone(), e.manager.name.clone());
            key(a).cmp(&key(b))
        });
        let entries = self.0.iter().map(|entry| {
            let mut json = json!({
                "manager": entry.manager.name,
                "operation": if entry.manager.applies { "Apply" } else { "Update" },
                "apiVersion": entry.manager.api_version,
                "time": entry.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": entry.fields.json(),
            });
            if !entry.manager.subresource.is_empty() {
                json["subresource"] = entry.manager.subresource.as_str().into();
            }
            json
        });
        let entries = entries.collect();
        metadata(object).insert("managedFields".into(), entries);
    }

    /// Assigns the existing fields to [`BEFORE_FIRST_APPLY`], since they were set before the first apply. Without an owner,
    /// any manager could change them without a conflict.
    pub fn begin(&mut self, schema: Schema, live: &Json, manager: &Manager, now: Moment) {
        if !live["metadata"]["uid"].is_string() {
            return;
        }
        let mut there = bare(live);
        if let Some(fields) = there.as_object_mut() {
            fields.remove("status");
        }
        let before = Manager {
            name: BEFORE_FIRST_APPLY.into(),
            applies: false,
            api_version: manager.api_version.clone(),
            subresource: String::new(),
        };
        self.set(&before, Fields::of(schema, &there), now);
    }

    pub fn fields(&self, manager: &Manager) -> Option<&Fields> {
        let entry = self.0.iter().find(|entry| entry.manager.is(manager))?;
        Some(&entry.fields)
    }

    pub fn others<'a>(&'a self, manager: &'a Manager) -> impl Iterator<Item = &'a Entry> {
        self.0.iter().filter(|entry| !entry.manager.is(manager))
    }

    pub fn all(&self) -> Fields {
        let mut all = Fields::default();
        for entry in &self.0 {
            all.add(&entry.fields);
        }
        all
    }

    /// Assigns fields to a manager, with a new time if they differ from the present ones.
    pub fn set(&mut self, manager: &Manager, mut fields: Fields, now: Moment) {
        for path in UNMANAGED {
            fields.remove_one(path);
        }
        match self.0.iter_mut().find(|entry| entry.manager.is(manager)) {
            Some(entry) => {
                if entry.fields != fields {
                    entry.time = timestamp(now);
                    entry.fields = fields;
                }
                entry.manager.api_version.clone_from(&manager.api_version);
            }
            None => self.0.push(Entry {
                manager: manager.clone(),
                time: timestamp(now),
                fields,
            }),
        }
    }

    /// Restores the time of each entry whose fields are the same as before. For example, fewer fields remain than were
    /// applied if some were empty.
    pub fn keep_times(&mut self, before: &Self) {
        for entry in &mut self.0 {
            let same =
                |other: &&Entry| other.manager.is(&entry.manager) && other.fields == entry.fields;
            if let Some(known) = before.0.iter().find(same) {
                entry.time.clone_from(&known.time);
            }
        }
    }

    /// Removes the fields that a change set or removed from all other managers.
    pub fn take(&mut self, manager: &Manager, change: &Comparison) {
        for entry in &mut self.0 {
            if !entry.manager.is(manager) {
                entry.fields.remove(&change.set);
            }
            entry.fields.remove(&change.removed);
        }
    }
}

/// Records an update: the manager becomes the owner of the fields that changed.
pub(crate) fn track(
    schema: Schema,
    before: &Json,
    after: &mut Json,
    manager: &Manager,
    now: Moment,
) {
    let sent = items(after, "/metadata/managedFields");
    let is_reset =
        matches!(sent, [entry] if entry.as_object().is_some_and(serde_json::Map::is_empty));
    let mut managed = Managed::read(after);
    if managed.0.is_empty() && !is_reset {
        managed = Managed::read(before);
    }
    let change = Comparison::of(schema, &bare(before), &bare(after));
    managed.take(manager, &change);
    let mut fields = managed.fields(manager).cloned().unwrap_or_default();
    fields.add(&change.set);
    if !is_reset {
        managed.set(manager, fields, now);
    }
    managed.write(after);
}

/// Returns an object without the fields that no manager owns.
pub(super) fn bare(object: &Json) -> Json {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

/// Returns an object without its times, to compare whether a write changes anything.
pub(crate) fn without_times(object: &Json) -> Json {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
        if let Some(Json::Array(entries)) = metadata.get_mut("managedFields") {
            for entry in entries.iter_mut().filter_map(Json::as_object_mut) {
                entry.remove("time");
            }
            // They are ordered by their times.
            entries.sort_by_cached_key(|entry| {
                ["manager", "operation", "subresource"]
                    .map(|key| entry[key].as_str().unwrap_or_default().to_owned())
            });
        }
    }
    object
}
