//! Validation of volumes (`ValidateVolumes` of Kubernetes).

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::container::own_name;
use crate::{
    object::{items, number, text},
    wire::Cause,
};

/// Checks the volumes of a pod.
pub(super) fn volumes<'a>(spec: &'a Json, place: &str, causes: &mut Vec<Cause>) {
    let mut names: BTreeSet<&'a str> = BTreeSet::new();
    for (i, volume) in items(spec, "/volumes").iter().enumerate() {
        let place = format!("{place}.volumes[{i}]");
        own_name(volume, &mut names, &place, causes);
        let sources = volume.as_object().into_iter().flatten();
        let mut sources = sources.filter(|(field, _)| *field != "name");
        if let Some((field, source)) = sources.next() {
            self::source(field, source, &format!("{place}.{field}"), causes);
        }
        for (field, _) in sources {
            let why = "may not specify more than 1 volume type";
            causes.push(Cause::forbidden(format!("{place}.{field}"), why));
        }
    }
}

/// Checks one source. The name of a Secret has another key in a volume than in a projection.
fn source(kind: &str, source: &Json, place: &str, causes: &mut Vec<Cause>) {
    let required: &[&str] = match kind {
        "secret" => &["secretName"],
        "configMap" => &["name"],
        "persistentVolumeClaim" => &["claimName"],
        "hostPath" => &["path"],
        _ => &[],
    };
    require(source, required, place, causes);
    files(source, place, causes);
    for (i, projected) in items(source, "/sources").iter().enumerate() {
        let place = format!("{place}.sources[{i}]");
        for (kind, required) in [
            ("secret", "name"),
            ("configMap", "name"),
            ("serviceAccountToken", "path"),
        ] {
            let source = &projected[kind];
            if source.is_object() {
                let place = format!("{place}.{kind}");
                require(source, &[required], &place, causes);
                files(source, &place, causes);
            }
        }
    }
}

fn require(source: &Json, fields: &[&str], place: &str, causes: &mut Vec<Cause>) {
    for field in fields {
        if source[*field].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{place}.{field}"), ""));
        }
    }
}

/// Checks the files that a source projects, and their modes.
fn files(source: &Json, place: &str, causes: &mut Vec<Cause>) {
    let mode = |value: &Json, field: &str, place: &str, causes: &mut Vec<Cause>| {
        let of = number(value, &format!("/{field}"));
        if of.is_some_and(|mode| !(0..=0o777).contains(&mode)) {
            let why = "must be a number between 0 and 0777 (octal), both inclusive";
            causes.push(Cause::invalid(
                format!("{place}.{field}"),
                &value[field],
                why,
            ));
        }
    };
    mode(source, "defaultMode", place, causes);
    for (i, item) in items(source, "/items").iter().enumerate() {
        let place = format!("{place}.items[{i}]");
        mode(item, "mode", &place, causes);
        let is_downward = item["fieldRef"].is_object() || item["resourceFieldRef"].is_object();
        if !is_downward {
            require(item, &["key"], &place, causes);
        }
        require(item, &["path"], &place, causes);
        let path = text(item, "/path").unwrap_or_default();
        let wrong = match path {
            _ if path.starts_with('/') => "must be a relative path",
            _ if path.split('/').any(|part| part == "..") => "must not contain '..'",
            _ if path.starts_with("..") => "must not start with '..'",
            _ => continue,
        };
        causes.push(Cause::invalid(format!("{place}.path"), &path.into(), wrong));
    }
}
