use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::schema::{ListRule, Schema};

/// A step of a path into an object, in the notation of `fieldsV1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// `f:NAME`: a field, or an entry of a map.
    Field(String),
    /// `k:{…}`: the item of a list with these keys.
    Key(String),
    /// `v:VALUE`: a member of a set.
    Value(String),
    /// `i:INDEX`: an item of a list, by position.
    Index(usize),
}

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether the field at this place is itself in the set.
    pub here: bool,
    pub inner: BTreeMap<Step, Fields>,
}

impl Fields {
    /// Returns the fields that a configuration sets.
    pub fn of(schema: Schema, value: &Json) -> Self {
        let mut fields = Self::default();
        fields.collect(schema, value);
        fields
    }

    fn collect(&mut self, schema: Schema, value: &Json) {
        match value {
            Json::Object(map) if !schema.is_atomic() => {
                for (name, value) in map {
                    let Some(field) = schema.field(name) else {
                        continue;
                    };
                    let inner = self.inner.entry(Step::Field(name.clone())).or_default();
                    inner.collect(field, value);
                    let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                    // An entry of a map is in the set by itself, a field of a struct by the fields in it.
                    inner.here |= is_empty || is_entry(schema, name);
                }
            }
            Json::Array(list) if schema.list_rule() != ListRule::Atomic => {
                for item in list {
                    let Some(step) = step_of(schema, item) else {
                        continue;
                    };
                    let inner = self.inner.entry(step).or_default();
                    inner.collect(schema.item(), item);
                    inner.here = true;
                }
            }
            _ => self.here = true,
        }
    }

    pub fn is_empty(&self) -> bool {
        !self.here && self.inner.is_empty()
    }

    pub fn add(&mut self, other: &Self) {
        self.here |= other.here;
        for (step, inner) in &other.inner {
            self.inner.entry(step.clone()).or_default().add(inner);
        }
    }

    pub fn remove(&mut self, other: &Self) {
        self.here &= !other.here;
        self.inner.retain(|step, inner| {
            if let Some(other) = other.inner.get(step) {
                inner.remove(other);
            }
            !inner.is_empty()
        });
    }

    pub fn shared(&self, other: &Self) -> Self {
        let mut shared = Self {
            here: self.here && other.here,
            inner: BTreeMap::new(),
        };
        for (step, inner) in &self.inner {
            let Some(other) = other.inner.get(step) else {
                continue;
            };
            let inner = inner.shared(other);
            if !inner.is_empty() {
                shared.inner.insert(step.clone(), inner);
            }
        }
        shared
    }

    pub fn insert(&mut self, path: &[Step]) {
        match path {
            [] => self.here = true,
            [step, rest @ ..] => self.inner.entry(step.clone()).or_default().insert(rest),
        }
    }

    /// Removes the field at a path, and keeps the fields below it.
    pub fn remove_one(&mut self, path: &[&str]) {
        match path {
            [] => self.here = false,
            [name, rest @ ..] => {
                let step = Step::Field((*name).to_owned());
                if let Some(inner) = self.inner.get_mut(&step) {
                    inner.remove_one(rest);
                    if inner.is_empty() {
                        self.inner.remove(&step);
                    }
                }
            }
        }
    }

    /// Returns the members as messages about conflicts write them: `.spec.template.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.list(&mut String::new(), &mut paths);
        paths
    }

    fn list(&self, path: &mut String, paths: &mut Vec<String>) {
        if self.here {
            paths.push(path.clone());
        }
        for (step, inner) in &self.inner {
            let length = path.len();
            path.push_str(&step.shown());
            inner.list(path, paths);
            path.truncate(length);
        }
    }

    /// Reads the JSON of a `fieldsV1`.
    pub fn read(json: &Json) -> Self {
        let mut fields = Self::default();
        let Json::Object(map) = json else {
            return fields;
        };
        for (key, value) in map {
            if key == "." {
                fields.here = true;
            } else if let Some(step) = Step::read(key) {
                let mut inner = Self::read(value);
                inner.here |= inner.inner.is_empty();
                fields.inner.insert(step, inner);
            }
        }
        fields
    }

    pub fn json(&self) -> Json {
        let mut map = Map::new();
        if self.here && !self.inner.is_empty() {
            map.insert(".".into(), Json::Object(Map::new()));
        }
        for (step, inner) in &self.inner {
            map.insert(step.written(), inner.json());
        }
        Json::Object(map)
    }
}

impl Step {
    fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Self::Field(rest.to_owned()),
            // Keys may have any order and contain spaces.
            "k" => Self::Key(
                serde_json::from_str::<BTreeMap<String, Json>>(rest)
                    .ok()
                    .map(|keys| written(&keys))?,
            ),
            "v" => Self::Value(serde_json::from_str::<Json>(rest).ok()?.to_string()),
            "i" => Self::Index(rest.parse().ok()?),
            _ => return None,
        })
    }

    fn written(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Key(keys) => {
                let keys: BTreeMap<String, Json> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<_> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("[{}]", keys.join(","))
            }
            Self::Value(value) => format!("[={value}]"),
            Self::Index(index) => format!("[{index}]"),
        }
    }
}

fn written(keys: &BTreeMap<String, Json>) -> String {
    serde_json::to_string(keys).unwrap_or_default()
}

/// Returns whether a name is an entry of a map rather than a declared field.
pub(super) fn is_entry(schema: Schema, name: &str) -> bool {
    schema.keyword("properties").get(name).is_none() && schema.is_map()
}

/// Returns the step that identifies an item of a list, or `None` if the item lacks a key.
pub(super) fn step_of(list: Schema, item: &Json) -> Option<Step> {
    match list.list_rule() {
        ListRule::Atomic => None,
        ListRule::Set => Some(Step::Value(item.to_string())),
        ListRule::Map(keys) => {
            let mut found = BTreeMap::new();
            for key in keys.iter().filter_map(Json::as_str) {
                let default = || list.item().field(key)?.default();
                let value = item.get(key).or_else(default)?;
                found.insert(key.to_owned(), value.clone());
            }
            Some(Step::Key(written(&found)))
        }
    }
}
