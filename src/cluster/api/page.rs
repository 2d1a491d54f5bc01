use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::select::Selectors;
use crate::{
    object::{name, namespace},
    resource::Resource,
    store::Transaction,
    wire::{Failure, Query},
};

/// A page of a list; all pages show the same state.
pub(super) struct Page {
    pub items: Vec<Json>,
    pub version: u64,
    /// The token for the next page.
    pub next: Option<String>,
    pub left: usize,
}

type Place = (String, String);

/// Reads a page of a list, as of the resource version in the query or in its token.
pub(super) fn read(
    tx: &Transaction,
    resource: &Resource,
    wanted: Option<&str>,
    selectors: &Selectors,
    query: &Query,
) -> Result<Page, Failure> {
    let key = resource.key();
    let current = tx.version()?;
    let token = query.get("continue").map(read_token).transpose()?;
    let version = match (&token, query.get("resourceVersion")) {
        (Some((version, _)), _) => *version,
        (None, Some(asked)) if query.get("resourceVersionMatch") == Some("Exact") => asked
            .parse()
            .map_err(|_| Failure::bad_request(format!("invalid resourceVersion: {asked:?}")))?,
        _ => current,
    };
    let objects = if version == current {
        tx.list(&key, wanted)?
    } else {
        as_of(tx, &key, wanted, version)?
    };
    let after = token.map(|(_, place)| place);
    let mut items: Vec<_> = objects
        .into_iter()
        .filter(|object| after.as_ref().is_none_or(|after| place(object) > *after))
        .filter(|object| selectors.matches(object))
        .collect();
    let limit = query.number("limit").filter(|limit| *limit > 0);
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let left = items.len().saturating_sub(limit);
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| left > 0)
        .map(|last| write_token(version, &place(last)));
    Ok(Page {
        items,
        version,
        next,
        left,
    })
}

/// Returns the objects as they were, by reverting later changes.
fn as_of(
    tx: &Transaction,
    key: &str,
    wanted: Option<&str>,
    version: u64,
) -> Result<Vec<Json>, Failure> {
    if version < tx.compacted()? {
        return Err(Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
        ));
    }
    let objects = tx.list(key, wanted)?.into_iter();
    let mut objects: BTreeMap<Place, Json> = objects.map(|o| (place(&o), o)).collect();
    for change in tx.changes(key, version)?.into_iter().rev() {
        let place = place(&change.object);
        if wanted.is_some_and(|wanted| wanted != place.0) {
            continue;
        }
        match change.before {
            Some(before) => objects.insert(place, before),
            None => objects.remove(&place),
        };
    }
    Ok(objects.into_values().collect())
}

fn place(object: &Json) -> Place {
    (namespace(object).to_owned(), name(object).to_owned())
}

fn write_token(version: u64, place: &Place) -> String {
    let token = json!({ "v": "meta.k8s.io/v1", "rv": version, "start": place });
    data_encoding::BASE64URL_NOPAD.encode(token.to_string().as_bytes())
}

fn read_token(token: &str) -> Result<(u64, Place), Failure> {
    let read = || {
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(token.as_bytes())
            .ok()?;
        let token: Json = serde_json::from_slice(&bytes).ok()?;
        let place = serde_json::from_value(token["start"].clone()).ok()?;
        Some((token["rv"].as_u64()?, place))
    };
    read().ok_or_else(|| {
        Failure::bad_request("continue key is not valid: it was not issued by this server")
    })
}
