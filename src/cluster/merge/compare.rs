use serde_json::Value as Json;

use super::fields::{Fields, Step, step_of};
use crate::schema::{ListRule, Schema};

/// The fields that a change sets and removes.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Added or modified fields.
    pub set: Fields,
    pub removed: Fields,
}

impl Comparison {
    pub fn of(schema: Schema, before: &Json, after: &Json) -> Self {
        let mut comparison = Self::default();
        comparison.compare(schema, Some(before), Some(after), &mut Vec::new());
        comparison
    }

    fn compare(
        &mut self,
        schema: Schema,
        before: Option<&Json>,
        after: Option<&Json>,
        path: &mut Vec<Step>,
    ) {
        if before == after {
            return;
        }
        let is_leaf = match before.or(after) {
            _ if differs_in_kind(before, after) => true,
            Some(Json::Object(_)) => schema.is_atomic() || (is_empty(before) && is_empty(after)),
            Some(Json::Array(_)) => {
                schema.list_rule() == ListRule::Atomic || (is_empty(before) && is_empty(after))
            }
            _ => true,
        };
        match (before, after) {
            (None, _) => self.set.insert(path),
            (_, None) => self.removed.insert(path),
            _ if is_leaf => self.set.insert(path),
            _ => {}
        }
        if is_leaf {
            return;
        }
        match before.or(after) {
            Some(Json::Object(_)) => self.compare_maps(schema, before, after, path),
            _ => self.compare_lists(schema, before, after, path),
        }
    }

    fn compare_maps(
        &mut self,
        schema: Schema,
        before: Option<&Json>,
        after: Option<&Json>,
        path: &mut Vec<Step>,
    ) {
        let names = |side: Option<&Json>| -> Vec<String> {
            let map = side.and_then(Json::as_object);
            map.map(|map| map.keys().cloned().collect())
                .unwrap_or_default()
        };
        let mut all = [names(before), names(after)].concat();
        all.sort();
        all.dedup();
        for name in all {
            let Some(field) = schema.field(&name) else {
                continue;
            };
            let of = |side: Option<&'_ Json>| side.and_then(|map| map.get(&name)).cloned();
            let (before, after) = (of(before), of(after));
            path.push(Step::Field(name));
            self.compare(field, before.as_ref(), after.as_ref(), path);
            path.pop();
        }
    }

    fn compare_lists(
        &mut self,
        schema: Schema,
        before: Option<&Json>,
        after: Option<&Json>,
        path: &mut Vec<Step>,
    ) {
        let steps = |side: Option<&Json>| -> Vec<(Step, Json)> {
            let items = side.and_then(Json::as_array).into_iter().flatten();
            items
                .filter_map(|item| Some((step_of(schema, item)?, item.clone())))
                .collect()
        };
        let (before, after) = (steps(before), steps(after));
        let find = |all: &[(Step, Json)], step: &Step| {
            let found = all.iter().find(|(other, _)| other == step);
            found.map(|(_, item)| item.clone())
        };
        for (step, item) in &before {
            let after = find(&after, step);
            path.push(step.clone());
            self.compare(schema.item(), Some(item), after.as_ref(), path);
            path.pop();
        }
        for (step, item) in &after {
            if find(&before, step).is_none() {
                path.push(step.clone());
                self.compare(schema.item(), None, Some(item), path);
                path.pop();
            }
        }
    }
}

fn is_empty(side: Option<&Json>) -> bool {
    match side {
        None | Some(Json::Null) => true,
        Some(Json::Object(map)) => map.is_empty(),
        Some(Json::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

fn differs_in_kind(before: Option<&Json>, after: Option<&Json>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            std::mem::discriminant(before) != std::mem::discriminant(after)
        }
        _ => false,
    }
}
