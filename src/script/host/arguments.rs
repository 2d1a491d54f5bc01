use std::collections::BTreeMap;

use rhai::{Dynamic, Map};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Thrown, WRONG_ARGUMENTS,
    function::{Parameter, ValueKind},
    rejected, table, throw,
};
use crate::dynamic::from_dynamic;
use windlass_ground::{closest, did_you_mean};
use windlass_world::{
    value::{Failure, Secret, Value},
    x509::{AlternativeNames, NameKind, Subject},
};

/// Reads the map argument of a host function strictly: missing, misspelt or wrongly typed entries are
/// rejected before the call is made.
pub(super) struct Arguments {
    function: &'static str,
    left: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    /// Where a map within the map is, with a dot: `revocation.crl.`.
    path: String,
    /// The entries that the map may have, from the function's row; `None` if no row describes them.
    fields: Option<&'static [Parameter]>,
}

impl Arguments {
    pub fn new(function: &'static str, map: Map) -> Result<Self, Thrown> {
        let options = table::function(function).and_then(|row| row.options());
        Self::of(function, map, options.map(|(_, fields)| fields))
    }

    /// Reads a map that may have these fields, or any.
    pub fn of(
        function: &'static str,
        map: Map,
        fields: Option<&'static [Parameter]>,
    ) -> Result<Self, Thrown> {
        match from_dynamic(&Dynamic::from(map)) {
            Ok(Value::Map(left)) => Ok(Self {
                function,
                left,
                known: Vec::new(),
                path: String::new(),
                fields,
            }),
            Ok(_) => Err(refuse(function, "it takes a map")),
            Err(e) => Err(refuse(function, e)),
        }
    }

    /// Returns all entries, for the record.
    pub fn to_value(&self) -> Value {
        Value::Map(self.left.clone())
    }

    /// As [`to_value`](Self::to_value), but makes these entries secret even if a script gave a plain text: private keys.
    pub fn to_value_hiding(&self, keys: &[&str]) -> Value {
        let mut value = self.to_value();
        hide(&mut value, keys);
        value
    }

    /// Returns an option; one that is not given has its default from the row, if there is one.
    pub fn optional(&mut self, key: &'static str) -> Option<Value> {
        debug_assert!(
            self.fields.is_none() || self.field(key).is_some(),
            "the row of {} lacks `{key}`",
            self.function
        );
        self.known.push(key);
        let given = self.left.remove(key).filter(|value| *value != Value::Null);
        given.or_else(|| self.field(key)?.default_value())
    }

    /// Drops an option that earlier versions took and ignored, unless the function's row has it.
    pub fn withdraw(&mut self, key: &str) {
        if !self.takes(key) {
            self.left.remove(key);
        }
    }

    /// Says whether the function's row has this option.
    pub fn takes(&self, key: &str) -> bool {
        self.field(key).is_some()
    }

    fn field(&self, key: &str) -> Option<&'static Parameter> {
        self.fields?.iter().find(|field| field.name == key)
    }

    pub fn required(&mut self, key: &'static str) -> Result<Value, Thrown> {
        self.optional(key)
            .ok_or_else(|| refuse(self.function, format!("it needs `{}{key}`", self.path)))
    }

    pub fn text(&mut self, key: &'static str) -> Result<String, Thrown> {
        let value = self.required(key)?;
        self.as_text(key, value)
    }

    pub fn optional_text(&mut self, key: &'static str) -> Result<Option<String>, Thrown> {
        self.optional(key)
            .map(|value| self.as_text(key, value))
            .transpose()
    }

    /// Returns a text, bytes, or a secret, as a secret.
    pub fn optional_content(&mut self, key: &'static str) -> Result<Option<Secret>, Thrown> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(Secret::of_bytes(&bytes))),
            Some(value) => self.as_secret(key, value).map(Some),
        }
    }

    /// Returns a text or a secret, as a secret.
    pub fn optional_secret(&mut self, key: &'static str) -> Result<Option<Secret>, Thrown> {
        self.optional(key)
            .map(|value| self.as_secret(key, value))
            .transpose()
    }

    pub fn required_secret(&mut self, key: &'static str) -> Result<Secret, Thrown> {
        let value = self.required(key)?;
        self.as_secret(key, value)
    }

    /// Returns a timestamp in the format of `time::now()`.
    pub fn optional_time(&mut self, key: &'static str) -> Result<Option<OffsetDateTime>, Thrown> {
        let Some(text) = self.optional_text(key)? else {
            return Ok(None);
        };
        let parsed = OffsetDateTime::parse(&text, &Rfc3339);
        parsed.map(Some).map_err(|_| {
            let why =
                format!("`{key}` is not a valid timestamp such as 2026-01-31T12:00:00Z: `{text}`");
            refuse(self.function, why)
        })
    }

    /// Returns a map of scalars: texts and secrets unchanged, numbers and bools as text.
    pub fn scalar_map(&mut self, key: &'static str) -> Result<BTreeMap<String, Value>, Thrown> {
        match self.optional(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::Map(map)) => map
                .into_iter()
                .map(|(name, value)| match value {
                    Value::String(_) | Value::Secret(_) => Ok((name, value)),
                    Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                        Ok((name, value.to_text().into()))
                    }
                    other => {
                        let why =
                            format!("`{key}.{name}` must be a string, not {}", other.a_kind());
                        Err(refuse(self.function, why))
                    }
                })
                .collect(),
            Some(other) => Err(self.wrong(key, "map of strings", &other)),
        }
    }

    pub fn flag(&mut self, key: &'static str) -> Result<bool, Thrown> {
        match self.optional(key) {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(b),
            Some(other) => Err(self.wrong(key, "bool", &other)),
        }
    }

    pub fn texts(&mut self, key: &'static str) -> Result<Vec<String>, Thrown> {
        match self.optional(key) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .into_iter()
                .map(|item| self.as_text(key, item))
                .collect(),
            Some(other) => Err(self.wrong(key, "list of strings", &other)),
        }
    }

    pub fn text_map(&mut self, key: &'static str) -> Result<BTreeMap<String, String>, Thrown> {
        match self.optional(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::Map(map)) => map
                .into_iter()
                .map(|(name, value)| Ok((name, self.as_text(key, value)?)))
                .collect(),
            Some(other) => Err(self.wrong(key, "map of strings", &other)),
        }
    }

    /// Returns a map within the map, which is read as strictly.
    pub fn optional_map(&mut self, key: &'static str) -> Result<Option<Self>, Thrown> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::Map(left)) => Ok(Some(self.inner(key, left))),
            Some(other) => Err(self.wrong(key, "map", &other)),
        }
    }

    pub fn maps(&mut self, key: &'static str) -> Result<Vec<Self>, Thrown> {
        let Some(given) = self.optional(key) else {
            return Ok(Vec::new());
        };
        let Value::List(items) = given else {
            return Err(self.wrong(key, "list of maps", &given));
        };
        items
            .into_iter()
            .map(|item| match item {
                Value::Map(left) => Ok(self.inner(key, left)),
                other => Err(self.wrong(key, "list of maps", &other)),
            })
            .collect()
    }

    fn inner(&self, key: &str, left: BTreeMap<String, Value>) -> Self {
        let fields = self.field(key).and_then(|field| match field.kind {
            ValueKind::Record(fields) => Some(fields),
            ValueKind::List(ValueKind::Record(fields)) => Some(*fields),
            _ => None,
        });
        Self {
            function: self.function,
            left,
            known: Vec::new(),
            path: format!("{}{key}.", self.path),
            fields,
        }
    }

    pub fn subject(&mut self, key: &'static str) -> Result<Subject, Thrown> {
        let mut subject = Subject::default();
        for (attribute, value) in self.text_map(key)? {
            subject
                .set(&attribute, value)
                .map_err(|e| refuse(self.function, e))?;
        }
        Ok(subject)
    }

    /// Returns the alternative names for a certificate, each kind under its own key.
    pub fn alternative_names(&mut self) -> Result<AlternativeNames, Thrown> {
        let mut names = AlternativeNames::default();
        for kind in NameKind::ALL.iter().copied() {
            for value in self.texts(kind.key())? {
                names.add(kind, &value).map_err(|e| {
                    let failure = rejected(self.function, WRONG_ARGUMENTS, &e);
                    throw(&Failure {
                        hint: e.hint(),
                        ..failure
                    })
                })?;
            }
        }
        Ok(names)
    }

    /// Rejects entries that were not read.
    pub fn finish(self) -> Result<(), Thrown> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let path = &self.path;
                let why = match closest(unknown, self.known.iter().copied()) {
                    Some(near) => {
                        format!("it has no option `{path}{unknown}`: {}", did_you_mean(near))
                    }
                    None => {
                        let known = self.known.join(", ");
                        format!("it has no option `{path}{unknown}` (it takes {known})")
                    }
                };
                Err(refuse(self.function, why))
            }
        }
    }

    fn as_text(&self, key: &str, value: Value) -> Result<String, Thrown> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(key, "string", &other)),
        }
    }

    fn as_secret(&self, key: &str, value: Value) -> Result<Secret, Thrown> {
        match value {
            Value::Secret(secret) => Ok(secret),
            Value::String(text) => Ok(Secret::new(text)),
            other => Err(self.wrong(key, "string", &other)),
        }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) -> Thrown {
        let path = &self.path;
        let why = format!("`{path}{key}` must be a {expected}, not a {}", found.kind());
        refuse(self.function, why)
    }
}

/// Makes these entries secret, also in nested maps.
fn hide(value: &mut Value, keys: &[&str]) {
    let Value::Map(map) = value else { return };
    for (name, entry) in map {
        if keys.contains(&name.as_str()) {
            *entry = std::mem::take(entry).tainted()
        } else {
            hide(entry, keys)
        }
    }
}

/// Returns the numbers of a list, or a number that stands alone; `None` if there is something else, or a number that does not fit.
pub(super) fn numbers<T: TryFrom<i64>>(given: Value) -> Option<Vec<T>> {
    let items = match given {
        Value::List(items) => items,
        one => vec![one],
    };
    let number = |item| match item {
        Value::Int(number) => T::try_from(number).ok(),
        _ => None,
    };
    items.into_iter().map(number).collect()
}

/// Returns two options of which neither may be given without the other.
pub(super) fn both<A, B>(
    function: &str,
    options: (Option<A>, Option<B>),
    names: impl std::fmt::Display,
) -> Result<Option<(A, B)>, Thrown> {
    match options {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        _ => Err(refuse(function, format!("{names} must be given together"))),
    }
}

/// Rejects a call before it is made. A repeated call would be rejected too, so the failure is permanent.
pub(super) fn refuse(function: &str, why: impl std::fmt::Display) -> Thrown {
    throw(&rejected(function, WRONG_ARGUMENTS, why))
}
