use serde_json::{Map, Value as Json};

use crate::{schema::Schema, wire::Failure};

const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";
const RETAIN: &str = "$retainKeys";
const DIRECTIVE: &str = "$patch";

/// Applies a strategic merge patch, with the merge keys and strategies of a built-in kind.
///
/// # Errors
/// 400 for an unknown directive, or for an item without its merge key.
pub(crate) fn strategic(schema: Schema, object: &mut Json, patch: &Json) -> Result<(), Failure> {
    let (Json::Object(object), Json::Object(patch)) = (object, patch) else {
        return Err(Failure::bad_request(
            "json: cannot unmarshal into Go value of type map[string]interface {}",
        ));
    };
    merge_maps(schema, object, patch)
}

fn merge_maps(
    schema: Schema,
    into: &mut Map<String, Json>,
    patch: &Map<String, Json>,
) -> Result<(), Failure> {
    match patch.get(DIRECTIVE).map(|directive| directive.as_str()) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => {
            *into = plain_map(patch);
            return Ok(());
        }
        Some(Some("delete")) => {
            into.clear();
            return Ok(());
        }
        Some(other) => return Err(unknown_directive(other.unwrap_or_default())),
    }
    if let Some(Json::Array(keys)) = patch.get(RETAIN) {
        into.retain(|name, _| keys.iter().any(|key| key == name.as_str()));
    }
    for (name, list) in patch {
        if let (Some(name), Json::Array(gone)) = (name.strip_prefix(DELETE), list)
            && let Some(Json::Array(list)) = into.get_mut(name)
        {
            list.retain(|item| !gone.contains(item));
        }
    }
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        if value.is_null() {
            into.remove(name);
            continue;
        }
        let field = schema.field(name);
        let strategy = field.map(Schema::patch_strategy).unwrap_or_default();
        match (into.get_mut(name), value, field) {
            (Some(Json::Object(into)), Json::Object(patch), Some(field))
                if strategy != "replace" =>
            {
                merge_maps(field, into, patch)?;
            }
            (Some(Json::Array(into)), Json::Array(patch), Some(field))
                if strategy.starts_with("merge") =>
            {
                merge_lists(field, into, patch)?;
            }
            // A directive also applies if the list does not exist yet.
            (_, Json::Array(patch), Some(field)) if strategy.starts_with("merge") => {
                let mut list = Vec::new();
                merge_lists(field, &mut list, patch)?;
                into.insert(name.clone(), Json::Array(list));
            }
            (None, Json::Object(patch), Some(field)) => {
                let mut map = Map::new();
                merge_maps(field, &mut map, patch)?;
                into.insert(name.clone(), Json::Object(map));
            }
            _ => {
                into.insert(name.clone(), plain(value));
            }
        }
    }
    for (name, order) in patch {
        if let (Some(name), Json::Array(order)) = (name.strip_prefix(ORDER), order)
            && let Some(Json::Array(list)) = into.get_mut(name)
        {
            let key = schema.field(name).and_then(Schema::merge_key);
            reorder(list, order, key);
        }
    }
    Ok(())
}

fn merge_lists(schema: Schema, into: &mut Vec<Json>, patch: &[Json]) -> Result<(), Failure> {
    let before = into.clone();
    let Some(key) = schema.merge_key() else {
        for item in patch {
            if !into.contains(item) {
                into.push(item.clone());
            }
        }
        arrange(into, &before, patch, None);
        return Ok(());
    };
    let is = |item: &Json, directive: &str| item[DIRECTIVE] == directive;
    if patch.iter().any(|item| is(item, "replace")) {
        *into = patch
            .iter()
            .filter(|item| !is(item, "replace"))
            .map(plain)
            .collect();
        return Ok(());
    }
    for item in patch {
        let name = item
            .get(key)
            .filter(|name| !name.is_null())
            .ok_or_else(|| {
                Failure::bad_request(format!(
                    "map: {item} does not contain declared merge key: {key}"
                ))
            })?;
        if is(item, "delete") {
            into.retain(|other| &other[key] != name);
            continue;
        }
        match (into.iter_mut().find(|other| &other[key] == name), item) {
            (Some(Json::Object(into)), Json::Object(item)) => {
                merge_maps(schema.item(), into, item)?;
            }
            (_, Json::Object(item)) => {
                let mut map = Map::new();
                merge_maps(schema.item(), &mut map, item)?;
                into.push(Json::Object(map));
            }
            _ => return Err(Failure::bad_request(format!("{item} is not an object"))),
        }
    }
    arrange(into, &before, patch, Some(key));
    Ok(())
}

/// Brings a merged list into the API server's order (`normalizeElementOrder`): items in the patch have the patch's order,
/// the others keep theirs, and a new item comes as early as that allows.
fn arrange(list: &mut Vec<Json>, before: &[Json], patch: &[Json], key: Option<&str>) {
    let place = |all: &[Json], item: &Json| {
        all.iter().position(|other| match key {
            Some(key) => other[key] == item[key],
            None => other == item,
        })
    };
    let (mut named, rest): (Vec<Json>, Vec<Json>) = list
        .drain(..)
        .partition(|item| place(patch, item).is_some());
    named.sort_by_key(|item| place(patch, item));
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    while let (Some(new), Some(old)) = (named.peek(), rest.peek()) {
        let is_behind = place(before, new).is_some_and(|at| place(before, old) < Some(at));
        let next = if is_behind { rest.next() } else { named.next() };
        list.extend(next);
    }
    list.extend(named);
    list.extend(rest);
}

/// Sorts the items that are in `order` into that order, using the positions that such items have in the list.
fn reorder(list: &mut [Json], order: &[Json], key: Option<&str>) {
    let rank = |item: &Json| {
        order.iter().position(|other| match key {
            Some(key) => other[key] == item[key],
            None => other == item,
        })
    };
    let places: Vec<usize> = (0..list.len())
        .filter(|i| rank(&list[*i]).is_some())
        .collect();
    let mut named: Vec<Json> = places.iter().map(|i| list[*i].clone()).collect();
    named.sort_by_key(|item| rank(item));
    for (place, item) in places.into_iter().zip(named) {
        list[place] = item;
    }
}

/// Returns a value of a patch without nulls and directives, for a field that did not exist.
fn plain(value: &Json) -> Json {
    match value {
        Json::Object(map) => Json::Object(plain_map(map)),
        Json::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn plain_map(map: &Map<String, Json>) -> Map<String, Json> {
    map.iter()
        .filter(|(name, value)| !value.is_null() && !name.starts_with('$'))
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

fn unknown_directive(found: &str) -> Failure {
    Failure::bad_request(format!("Unknown patch type: {found}"))
}
