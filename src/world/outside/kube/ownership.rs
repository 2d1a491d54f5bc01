//! The owners of an object's fields (`metadata.managedFields`), and how fields are returned to them.
//!
//! A set of fields is a tree (Kubernetes, "Server-Side Apply", "FieldsV1"): `f:NAME` is a field, `k:…` and `v:…` are items of
//! lists; `{}` and `.` mean that the path to them is itself in the set.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};
use windlass_ground::boxed;

use super::{
    client::{FIELD_MANAGER, KubeClient},
    resource::Named,
    restore::content,
};
use crate::value::{Failure, FailureClass};

/// How often it is tried while another client writes at the same time.
const TRIES: usize = 5;

/// The path to one field in the tree.
type Path = Vec<String>;
type Fields = BTreeSet<Path>;

/// Who owned the fields of an object before it was changed, as lists of entries of its `managedFields`.
#[derive(Clone, Debug)]
pub struct Owners {
    /// The entries of other managers than `windlass`.
    pub others: Json,
    /// The entries of `windlass`; `None` if they were not recorded, as by earlier versions.
    pub own: Option<Json>,
}

impl Owners {
    /// Reads the owners of an object itself, without its subresources.
    pub fn of(object: &Json) -> Self {
        let (own, others): (Vec<Json>, Vec<Json>) = whole(object)
            .cloned()
            .partition(|entry| entry["manager"] == FIELD_MANAGER);
        Self {
            others: others.into(),
            own: Some(own.into()),
        }
    }

    /// Says whether `windlass`, or another `manager`, owns fields of an object.
    pub fn has_written(object: &Json, manager: &str) -> bool {
        let of = |entry: &&Json| is_of(entry, &[FIELD_MANAGER, manager]);
        whole(object).any(|entry| of(&entry))
    }

    /// Says whether the content that an object has in `made` is also of others than `windlass` and `manager`, according to the
    /// owners of its fields `now`: others wrote it before `made` was read.
    pub fn has_content_of_others(made: &Json, now: &Json, manager: &str) -> bool {
        let (own, others): (Vec<_>, Vec<_>) =
            whole(now).partition(|entry| is_of(entry, &[FIELD_MANAGER, manager]));
        let own: Fields = own.into_iter().flat_map(fields).collect();
        let made = content(made);
        let mut of_others = others.into_iter().flat_map(fields);
        of_others.any(|path| {
            let is_shared = own.range(path.clone()..).next();
            !is_shared.is_some_and(|own| own.starts_with(&path)) && has_field(&made, &path)
        })
    }

    /// Says whether a change by `windlass`, or under the name of another `manager`, is the only one since these owners were read.
    pub fn only_changed_by(&self, manager: &str, now: &Json) -> bool {
        let takers = [FIELD_MANAGER, manager];
        let were = || self.others.as_array().into_iter().flatten();
        self.own.is_some()
            && whole(now).filter(|entry| !is_of(entry, &takers)).all(|is| {
                let was = were().find(|was| is_of_same(was, is) && was["time"] == is["time"]);
                // Fields may have been taken from it.
                was.is_some_and(|was| fields(is).is_subset(&fields(was)))
            })
    }

    /// Says whether neither `windlass` nor `manager` has changed the object since these owners were read; `false` if that is not
    /// known.
    pub fn is_unchanged_by(&self, manager: &str, now: &Json) -> bool {
        let takers = [FIELD_MANAGER, manager];
        let Some(own) = self.own.as_ref().and_then(Json::as_array) else {
            return false;
        };
        let others = self.others.as_array().into_iter().flatten();
        let were = own.iter().chain(others).filter(|was| is_of(was, &takers));
        let (were, are): (Vec<_>, Vec<_>) = (
            were.collect(),
            whole(now).filter(|is| is_of(is, &takers)).collect(),
        );
        were.len() == are.len() && are.iter().all(|is| were.contains(is))
    }

    /// Returns an object, whose current state is `now`, as [`KubeClient::give_back`] leaves it; `None` if that changes nothing.
    pub fn returned(&self, now: &Json, manager: &str) -> Option<Json> {
        let entries = given_back(self, now, &[FIELD_MANAGER, manager])?;
        let mut object = now.clone();
        object["metadata"]["managedFields"] = entries;
        Some(object)
    }
}

impl KubeClient {
    /// Returns the fields to the `owners` from whom they were taken, by `windlass` or under the name of another `manager`, and gives up those
    /// that it has owned with others only since. It writes `managedFields` directly, as client-go's `csaupgrade` does: writing the
    /// fields would make the writer their owner.
    #[boxed]
    pub async fn give_back(
        &self,
        object: &Named,
        owners: &Owners,
        manager: &str,
    ) -> Result<(), Failure> {
        for tried in 1.. {
            let Some(now) = self.find(object).await? else {
                break;
            };
            let Some(entries) = given_back(owners, &now, &[FIELD_MANAGER, manager]) else {
                break;
            };
            let patch = json!({ "metadata": { "managedFields": entries } });
            match self.patch_version(object, &now, &patch).await {
                Err(failure) if failure.class == FailureClass::Conflict && tried < TRIES => {}
                other => return other,
            }
        }
        Ok(())
    }
}

/// Returns the `managedFields` of an object, whose current state is `now`, after every field that `takers` took from one of the earlier
/// `owners` has been returned to that manager, and after they have given up what they did not own and others own, too. `None` if that
/// changes nothing.
fn given_back(owners: &Owners, now: &Json, takers: &[&str]) -> Option<Json> {
    let is_taker = |entry: &Json| is_of(entry, takers);
    let mut entries = entries(now).to_vec();
    let taken: Fields = {
        let own = entries.iter().filter(|entry| is_taker(entry));
        own.flat_map(fields).collect()
    };
    let mut returned = Fields::new();
    let others = || owners.others.as_array().into_iter().flatten();
    for was in others().filter(|was| !is_taker(was)) {
        let at = entries.iter().position(|is| is_of_same(was, is));
        let has = at.map_or_else(Fields::new, |at| fields(&entries[at]));
        let lost: Fields = fields(was).difference(&has).cloned().collect();
        let back: Fields = lost.intersection(&taken).cloned().collect();
        if back.is_empty() {
            continue;
        }
        let all = has.union(&back).cloned().collect();
        match at {
            Some(at) => entries[at]["fieldsV1"] = tree(&all),
            None => {
                let mut entry = was.clone();
                entry["fieldsV1"] = tree(&all);
                entries.push(entry);
            }
        }
        returned.extend(back);
    }
    if let Some(own) = &owners.own {
        let own = own.as_array().into_iter().flatten().chain(others());
        let had: Fields = own.filter(|was| is_taker(was)).flat_map(fields).collect();
        let of_others = entries.iter().filter(|entry| !is_taker(entry));
        let of_others: Fields = of_others.flat_map(fields).collect();
        let shared = taken.intersection(&of_others);
        returned.extend(shared.filter(|path| !had.contains(*path)).cloned());
    }
    if returned.is_empty() {
        return None;
    }
    for entry in entries.iter_mut().filter(|entry| is_taker(entry)) {
        let left = fields(entry).difference(&returned).cloned().collect();
        entry["fieldsV1"] = tree(&left);
    }
    entries.retain(|entry| entry["fieldsV1"] != Json::Object(Map::new()));
    Some(entries.into())
}

fn entries(object: &Json) -> &[Json] {
    let found = object.pointer("/metadata/managedFields");
    found.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the entries of an object itself, without its subresources.
fn whole(object: &Json) -> impl Iterator<Item = &Json> {
    let is_whole = |entry: &&Json| entry["subresource"].as_str().is_none_or(str::is_empty);
    entries(object).iter().filter(is_whole)
}

/// Says whether an entry is of one of these managers.
fn is_of(entry: &Json, managers: &[&str]) -> bool {
    let name = entry["manager"].as_str();
    name.is_some_and(|name| managers.contains(&name))
}

/// Says whether there is a field at a path.
fn has_field(object: &Json, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let (kind, key) = first.split_once(':').unwrap_or(("", first));
    let items = || object.as_array().into_iter().flatten();
    let parsed = || serde_json::from_str::<Json>(key).unwrap_or_default();
    let found = match kind {
        "f" => object.get(key),
        "k" => {
            let keys = parsed();
            let has = |item: &Json, (key, value): (&String, &Json)| item[key] == *value;
            items().find(|item| {
                let mut keys = keys.as_object().into_iter().flatten();
                keys.all(|pair| has(item, pair))
            })
        }
        "v" => {
            let value = parsed();
            items().find(|item| **item == value)
        }
        _ => key.parse().ok().and_then(|at: usize| object.get(at)),
    };
    found.is_some_and(|found| has_field(found, rest))
}

/// Says whether two entries belong to the same manager: the version does not matter for an applier (structured-merge-diff,
/// `BuildManagerIdentifier` of the API server).
fn is_of_same(one: &Json, other: &Json) -> bool {
    let same = |key: &str| one[key] == other[key];
    same("manager")
        && same("operation")
        && same("subresource")
        && (one["operation"] == "Apply" || same("apiVersion"))
}

fn fields(entry: &Json) -> Fields {
    let mut found = Fields::new();
    collect(&entry["fieldsV1"], &mut Path::new(), &mut found);
    found
}

fn collect(node: &Json, path: &mut Path, found: &mut Fields) {
    let Some(children) = node.as_object() else {
        return;
    };
    if children.is_empty() && !path.is_empty() {
        found.insert(path.clone());
    }
    for (key, child) in children {
        if key == "." {
            found.insert(path.clone());
            continue;
        }
        path.push(key.clone());
        collect(child, path, found);
        path.pop();
    }
}

fn tree(fields: &Fields) -> Json {
    let mut root = json!({});
    for path in fields {
        let mut node = &mut root;
        for key in path {
            node = &mut node[key];
        }
        // The paths below it come after it.
        let mut after = fields.range(path.clone()..).skip(1);
        let leads_on = after.next().is_some_and(|next| next.starts_with(path));
        *node = if leads_on {
            json!({ ".": {} })
        } else {
            json!({})
        };
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Json) -> Json {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "time": "t", "fieldsType": "FieldsV1",
            "fieldsV1": fields })
    }

    fn object(entries: &[Json]) -> Json {
        json!({ "metadata": { "managedFields": entries } })
    }

    #[test]
    fn a1_what_was_taken_goes_back_to_whom_it_was_taken_from() {
        let data = |keys: &[&str]| {
            let keys = keys.iter().map(|key| (format!("f:{key}"), json!({})));
            let mut map: Map<String, Json> = keys.collect();
            map.insert(".".into(), json!({}));
            json!({ "f:data": map })
        };
        let before = Owners::of(&object(&[
            entry("helm", "Update", data(&["a", "b"])),
            entry("kubectl", "Apply", data(&["c"])),
            entry("windlass", "Apply", data(&["x"])),
        ]));
        // `a` and `c` were taken, `d` is new; another manager has taken `b` since.
        let now = object(&[
            entry(
                "windlass",
                "Apply",
                json!({ "f:data": { "f:a": {}, "f:c": {}, "f:d": {} } }),
            ),
            entry("helm", "Update", json!({ "f:data": { ".": {} } })),
            entry("other", "Update", json!({ "f:data": { "f:b": {} } })),
        ]);
        let back = given_back(&before, &now, &["windlass"]).expect("something was taken");
        assert_eq!(
            back,
            json!([
                entry("windlass", "Apply", json!({ "f:data": { "f:d": {} } })),
                entry("helm", "Update", data(&["a"])),
                entry("other", "Update", json!({ "f:data": { "f:b": {} } })),
                entry("kubectl", "Apply", json!({ "f:data": { "f:c": {} } })),
            ])
        );
        let again = json!({ "metadata": { "managedFields": back } });
        assert_eq!(given_back(&before, &again, &["windlass"]), None);
        let unknown = Owners {
            others: Json::Null,
            own: None,
        };
        assert_eq!(given_back(&unknown, &now, &["windlass"]), None);
    }

    #[test]
    fn what_others_wrote_before_is_told_from_what_they_wrote_later() {
        let own = entry("windlass", "Apply", json!({ "f:data": { "f:a": {} } }));
        let other = |fields: Json| entry("kubectl-create", "Update", fields);
        let made = json!({
            "data": { "a": "1", "mine": "2" },
            "list": [{ "name": "x", "port": 1 }, { "name": "y" }],
        });
        let is_of_others = |fields: Json| {
            let now = object(&[own.clone(), other(fields)]);
            Owners::has_content_of_others(&made, &now, "windlass")
        };
        assert!(is_of_others(json!({ "f:data": { ".": {}, "f:mine": {} } })));
        assert!(is_of_others(
            json!({ "f:list": { "k:{\"name\":\"x\"}": { ".": {}, "f:port": {} } } })
        ));
        // Shared, added later, or only noted beside the content.
        for later in [
            json!({ "f:data": { ".": {}, "f:a": {} } }),
            json!({ "f:data": { "f:later": {} } }),
            json!({ "f:list": { "k:{\"name\":\"y\"}": { "f:port": {} } } }),
            json!({ "f:metadata": { "f:annotations": { "f:deployment.kubernetes.io/revision": {} } } }),
        ] {
            assert!(!is_of_others(later.clone()), "{later}");
        }
    }

    #[test]
    fn who_has_changed_an_object_since_is_told_by_its_owners() {
        let of = |name: &str, keys: &[&str], time: &str| {
            let keys = keys.iter().map(|key| (format!("f:{key}"), json!({})));
            let mut entry = entry(name, "Update", keys.collect::<Map<_, _>>().into());
            entry["time"] = time.into();
            entry
        };
        let first = object(&[of("helm", &["a", "b"], "1"), of("windlass", &["c"], "1")]);
        let before = Owners::of(&first);
        assert!(before.is_unchanged_by("", &first));
        // The run took a field.
        let now = object(&[of("helm", &["a"], "1"), of("windlass", &["b", "c"], "2")]);
        assert!(!before.is_unchanged_by("", &now) && before.only_changed_by("", &now));
        for other in [
            of("helm", &["a", "b"], "2"),
            of("helm", &["a", "x"], "1"),
            of("else", &["x"], "1"),
        ] {
            let now = object(&[other, of("windlass", &["b", "c"], "2")]);
            assert!(!before.only_changed_by("", &now), "{now}");
        }
    }

    #[test]
    fn what_was_not_owned_before_is_given_up_if_others_own_it() {
        let data = |keys: &[&str]| {
            let keys = keys.iter().map(|key| (format!("f:{key}"), json!({})));
            json!({ "f:data": keys.collect::<Map<String, Json>>() })
        };
        let gitops = entry("gitops", "Apply", data(&["a", "b"]));
        let own = |keys: &[&str]| entry("windlass", "Apply", data(keys));
        let before = Owners::of(&object(&[gitops.clone(), own(&["b"])]));
        // It owned `b` before; nobody else owns `c`.
        let now = object(&[gitops.clone(), own(&["a", "b", "c"])]);
        let back = given_back(&before, &now, &["windlass"]);
        assert_eq!(back, Some(json!([gitops, own(&["b", "c"])])));
        let unknown = Owners {
            own: None,
            ..before
        };
        assert_eq!(given_back(&unknown, &now, &["windlass"]), None);
    }

    #[test]
    fn a_set_of_fields_is_written_as_it_was_read() {
        for fields in [
            json!({}),
            json!({ "f:a": {} }),
            json!({ "f:a": { ".": {}, "f:b": {} }, "f:a-b": {}, "f:spec": { "k:{\"x\":1}": { ".": {}, "f:y": {} }, "v:\"z\"": {} } }),
        ] {
            let entry = entry("x", "Update", fields.clone());
            assert_eq!(tree(&super::fields(&entry)), fields);
        }
    }
}
