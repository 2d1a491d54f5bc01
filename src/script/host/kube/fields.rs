//! The fields of objects that a script picks: a result has only these, so that it stays small however large the objects are.

use std::collections::BTreeMap;

use windlass_world::value::Value;

/// Paths such as `spec.containers.name` as a tree, which is walked with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether a path ends here: all that is below is kept.
    is_end: bool,
    below: BTreeMap<String, Self>,
}

impl Fields {
    /// `None` without paths, which stands for whole objects.
    pub fn of(paths: &[String]) -> Option<Self> {
        let mut all = Self::default();
        for path in paths {
            let mut at = &mut all;
            for key in keys(path) {
                at = at.below.entry(key).or_default();
            }
            at.is_end = true;
        }
        (!paths.is_empty()).then_some(all)
    }

    /// Returns what is picked of a value; a path goes through each item of a list.
    pub fn pick(&self, value: Value) -> Value {
        if self.is_end {
            return value;
        }
        match value {
            Value::Map(fields) => {
                let picked = fields.into_iter().filter_map(|(key, value)| {
                    let below = self.below.get(&key)?;
                    Some((key, below.pick(value)))
                });
                Value::Map(picked.collect())
            }
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.pick(item)).collect())
            }
            other => other,
        }
    }
}

/// Splits a path at its dots; as in kubectl's JSONPath, `\.` is a dot within a key.
fn keys(path: &str) -> Vec<String> {
    let (mut keys, mut key) = (Vec::new(), String::new());
    let mut rest = path.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next_if_eq(&'.').is_some() => key.push('.'),
            '.' => keys.push(std::mem::take(&mut key)),
            c => key.push(c),
        }
    }
    keys.push(key);
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picked(paths: &[&str]) -> serde_json::Value {
        let pod = json!({
            "metadata": { "name": "a", "labels": { "app.kubernetes.io/name": "x" }, "uid": "1" },
            "spec": { "containers": [{ "name": "app", "env": [{ "name": "A" }] }, { "name": "istio-proxy" }] },
            "status": { "phase": "Running" },
        });
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let fields = Fields::of(&paths).expect("paths");
        fields.pick(Value::from_json(pod)).to_json()
    }

    #[test]
    fn only_what_is_named_is_kept() {
        assert_eq!(
            picked(&["metadata.name", "spec.containers.name"]),
            json!({ "metadata": { "name": "a" }, "spec": { "containers": [{ "name": "app" }, { "name": "istio-proxy" }] } })
        );
    }

    #[test]
    fn a_path_that_ends_keeps_all_below_it() {
        let labels = json!({ "metadata": { "labels": { "app.kubernetes.io/name": "x" } } });
        assert_eq!(picked(&["metadata.labels", "metadata.labels.app"]), labels);
        assert_eq!(picked(&["metadata.labels.app", "metadata.labels"]), labels);
    }

    #[test]
    fn a_key_may_hold_dots() {
        let label = json!({ "metadata": { "labels": { "app.kubernetes.io/name": "x" } } });
        assert_eq!(
            picked(&["metadata.labels.app\\.kubernetes\\.io/name"]),
            label
        );
        assert_eq!(
            picked(&["metadata.labels.app.kubernetes.io/name"]),
            json!({ "metadata": { "labels": {} } })
        );
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(
            picked(&["metadata.none", "other"]),
            json!({ "metadata": {} })
        );
        assert_eq!(Fields::of(&[]), None);
    }
}
