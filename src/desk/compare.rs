//! Compares two runs: params, files, instances and outputs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use windlass_journal::{Instance, InstanceId, RunId};
use windlass_runs::{FileChange, Filter, Runs, RunsError, Shown, file_changes};
use windlass_world::value::Value;

/// The largest number of differing instances that a comparison lists.
const MOST: usize = 500;

/// What differs between a run and an earlier one.
pub struct Comparison {
    pub before: Shown,
    pub after: Shown,
    pub params: Vec<ValueChange>,
    pub outputs: Vec<ValueChange>,
    pub files: Vec<FileChange>,
    /// The instances that differ in status, attempts or error, or took at least twice as long, in the order of their ids.
    pub steps: Vec<StepChange>,
    /// The number of instances without a difference.
    pub same: usize,
}

/// A value that differs; null on the side that does not have it.
#[derive(Debug, PartialEq)]
pub struct ValueChange {
    pub name: String,
    pub before: Json,
    pub after: Json,
}

/// An instance that differs; `None` on the side that does not have it.
pub struct StepChange {
    pub step: InstanceId,
    pub before: Option<StepSide>,
    pub after: Option<StepSide>,
}

/// An instance in one of the runs.
pub struct StepSide {
    pub status: &'static str,
    pub worked_ms: i64,
    pub attempt: u32,
    pub error: Option<String>,
}

/// Finds the last run before this one, of the same workflow and target, that succeeded.
pub fn last_success(runs: &dyn Runs, shown: &Shown) -> Result<Option<RunId>, RunsError> {
    let page = runs.list(&Filter {
        status: Some("succeeded".into()),
        workflow: Some(shown.info.workflow.clone()),
        target: Some(shown.info.target.clone()),
        before: Some(shown.id.clone()),
        limit: 1,
        is_brief: true,
        ..Filter::default()
    })?;
    Ok(page.rows.into_iter().next().map(|row| row.run.id))
}

impl Comparison {
    pub fn new(before: Shown, after: Shown) -> Self {
        let ids: BTreeSet<&InstanceId> = [&before, &after]
            .into_iter()
            .flat_map(|shown| shown.state.steps.keys())
            .filter(|id| id.undone().is_none())
            .collect();
        let (mut steps, mut same) = (Vec::new(), 0);
        for id in ids {
            let side = |shown: &Shown| shown.state.instance(id).map(StepSide::of);
            let change = StepChange {
                step: id.clone(),
                before: side(&before),
                after: side(&after),
            };
            match change.is_same() {
                true => same += 1,
                false if steps.len() < MOST => steps.push(change),
                false => {}
            }
        }
        Self {
            params: value_changes(&before.info.params, &after.info.params),
            outputs: value_changes(&before.state.outputs, &after.state.outputs),
            files: file_changes(&before.program, &after.program),
            steps,
            same,
            before,
            after,
        }
    }
}

impl StepSide {
    fn of(instance: &Instance) -> Self {
        Self {
            status: instance.status.as_str(),
            worked_ms: instance.worked,
            attempt: instance.attempt,
            error: instance.error.as_ref().map(|error| error.headline()),
        }
    }
}

impl StepChange {
    /// Returns whether status, attempts and error are equal, and the time is about the same.
    fn is_same(&self) -> bool {
        /// Durations below this, in milliseconds, are not compared.
        const SHORT: i64 = 2000;
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return false;
        };
        let (short, long) = if before.worked_ms < after.worked_ms {
            (before.worked_ms, after.worked_ms)
        } else {
            (after.worked_ms, before.worked_ms)
        };
        before.status == after.status
            && before.attempt == after.attempt
            && before.error == after.error
            && (long < SHORT || long < short * 2)
    }
}

fn value_changes(before: &Value, after: &Value) -> Vec<ValueChange> {
    let map = |value: &Value| -> BTreeMap<String, Json> {
        let json = value.to_json();
        let map = json.as_object().cloned().unwrap_or_default();
        map.into_iter().collect()
    };
    let (before, after) = (map(before), map(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changes = names.into_iter().map(|name| ValueChange {
        name: name.clone(),
        before: before.get(name).cloned().unwrap_or_default(),
        after: after.get(name).cloned().unwrap_or_default(),
    });
    changes
        .filter(|change| change.before != change.after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differing_values_are_listed() {
        let value = |json: Json| Value::from_json(json);
        let changes = value_changes(
            &value(serde_json::json!({ "same": 1, "gone": [1], "other": "x" })),
            &value(serde_json::json!({ "same": 1, "new": true, "other": "y" })),
        );
        let names: Vec<_> = changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["gone", "new", "other"]);
        assert_eq!(
            (&changes[0].before, &changes[0].after),
            (&serde_json::json!([1]), &Json::Null)
        );
    }

    #[test]
    fn a_step_that_took_twice_as_long_differs() {
        let side = |worked_ms| StepSide {
            status: "succeeded",
            worked_ms,
            attempt: 1,
            error: None,
        };
        let change = |before, after| StepChange {
            step: InstanceId::step(None, "a"),
            before: Some(side(before)),
            after: Some(side(after)),
        };
        assert!(change(10, 900).is_same(), "both are short");
        assert!(change(60_000, 70_000).is_same());
        assert!(!change(60_000, 20_000).is_same());
        assert!(
            !StepChange {
                before: None,
                ..change(1, 1)
            }
            .is_same()
        );
    }
}
