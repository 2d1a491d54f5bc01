//! Validation of containers (`validateContainers` of Kubernetes).

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{name, quantity};
use crate::{
    object::{items, number, text},
    wire::Cause,
};

const PORTS: std::ops::RangeInclusive<i64> = 1..=65535;
const WRONG_PORT: &str = "must be between 1 and 65535, inclusive";

/// Checks what one container says, apart from its name and image.
pub(super) fn check(
    container: &Json,
    volumes: &BTreeSet<&str>,
    place: &str,
    causes: &mut Vec<Cause>,
) {
    one_of(
        container,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        place,
        causes,
    );
    ports(container, place, causes);
    variables(container, place, causes);
    mounts(container, volumes, place, causes);
    resources(container, place, causes);
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[kind].is_object() {
            probe(&container[kind], kind, &format!("{place}.{kind}"), causes);
        }
    }
}

/// Checks the name of a container or volume, which no other one in its list may have.
pub(super) fn own_name<'a>(
    object: &'a Json,
    names: &mut BTreeSet<&'a str>,
    place: &str,
    causes: &mut Vec<Cause>,
) {
    let place = format!("{place}.name");
    let Some(own) = text(object, "/name").filter(|own| !own.is_empty()) else {
        causes.push(Cause::required(place, ""));
        return;
    };
    if let Some(why) = name::label(own) {
        causes.push(Cause::invalid(&place, &own.into(), &why));
    }
    if !names.insert(own) {
        causes.push(Cause::duplicate(place, &own.into()));
    }
}

/// Checks a field that has one of a few values.
pub(super) fn one_of(
    object: &Json,
    field: &str,
    allowed: &[&str],
    place: &str,
    causes: &mut Vec<Cause>,
) {
    let value = &object[field];
    if value.is_string() && !allowed.iter().any(|one| value == one) {
        causes.push(Cause::unsupported(
            format!("{place}.{field}"),
            value,
            allowed,
        ));
    }
}

fn ports(container: &Json, place: &str, causes: &mut Vec<Cause>) {
    let mut names = BTreeSet::new();
    for (i, port) in items(container, "/ports").iter().enumerate() {
        let place = format!("{place}.ports[{i}]");
        one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &place, causes);
        if let Some(own) = text(port, "/name")
            && !names.insert(own)
        {
            causes.push(Cause::duplicate(format!("{place}.name"), &own.into()));
        }
        if port["containerPort"].is_null() {
            causes.push(Cause::required(format!("{place}.containerPort"), ""));
        }
        for field in ["containerPort", "hostPort"] {
            let value = number(port, &format!("/{field}"));
            if value.is_some_and(|value| !PORTS.contains(&value)) {
                let place = format!("{place}.{field}");
                causes.push(Cause::invalid(place, &port[field], WRONG_PORT));
            }
        }
    }
}

fn variables(container: &Json, place: &str, causes: &mut Vec<Cause>) {
    for (i, variable) in items(container, "/env").iter().enumerate() {
        let place = format!("{place}.env[{i}]");
        let own = text(variable, "/name").unwrap_or_default();
        if own.is_empty() {
            causes.push(Cause::required(format!("{place}.name"), ""));
        } else if !own.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
            let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            causes.push(Cause::invalid(format!("{place}.name"), &own.into(), why));
        }
        let from = &variable["valueFrom"];
        if !from.is_object() {
            continue;
        }
        let place = format!("{place}.valueFrom");
        let count = from.as_object().map_or(0, serde_json::Map::len);
        let has_value = text(variable, "/value").is_some_and(|value| !value.is_empty());
        let why = match count {
            0 => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            }
            _ if has_value => "may not be specified when `value` is not empty",
            1 => "",
            _ => "may not have more than one field specified at a time",
        };
        if !why.is_empty() {
            causes.push(Cause::invalid(&place, &"".into(), why));
        }
        for kind in ["configMapKeyRef", "secretKeyRef"] {
            for field in ["name", "key"] {
                if from[kind].is_object() && from[kind][field].as_str().is_none_or(str::is_empty) {
                    causes.push(Cause::required(format!("{place}.{kind}.{field}"), ""));
                }
            }
            if let Some(key) = from[kind]["key"].as_str().filter(|key| !key.is_empty())
                && let Some(why) = name::data_key(key)
            {
                causes.push(Cause::invalid(
                    format!("{place}.{kind}.key"),
                    &key.into(),
                    &why,
                ));
            }
        }
    }
    for (i, source) in items(container, "/envFrom").iter().enumerate() {
        let place = format!("{place}.envFrom[{i}]");
        let kinds = ["configMapRef", "secretRef"].map(|kind| (kind, &source[kind]));
        match kinds
            .iter()
            .filter(|(_, source)| source.is_object())
            .count()
        {
            0 => {
                let why = "must specify one of: `configMapRef` or `secretRef`";
                causes.push(Cause::invalid(&place, &"".into(), why));
            }
            1 => {}
            _ => {
                let why = "may not have more than one field specified at a time";
                causes.push(Cause::invalid(&place, &"".into(), why));
            }
        }
        for (kind, source) in kinds {
            if source.is_object() && source["name"].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("{place}.{kind}.name"), ""));
            }
        }
    }
}

fn mounts(container: &Json, volumes: &BTreeSet<&str>, place: &str, causes: &mut Vec<Cause>) {
    let mut paths = BTreeSet::new();
    for (i, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let place = format!("{place}.volumeMounts[{i}]");
        match text(mount, "/name").filter(|own| !own.is_empty()) {
            None => causes.push(Cause::required(format!("{place}.name"), "")),
            Some(own) if !volumes.contains(own) => {
                causes.push(Cause::not_found(format!("{place}.name"), &own.into()));
            }
            Some(_) => {}
        }
        match text(mount, "/mountPath").filter(|path| !path.is_empty()) {
            None => causes.push(Cause::required(format!("{place}.mountPath"), "")),
            Some(path) if !paths.insert(path) => {
                let why = "must be unique";
                causes.push(Cause::invalid(
                    format!("{place}.mountPath"),
                    &path.into(),
                    why,
                ));
            }
            Some(_) => {}
        }
    }
}

fn resources(container: &Json, place: &str, causes: &mut Vec<Cause>) {
    let (requests, limits) = (
        &container["resources"]["requests"],
        &container["resources"]["limits"],
    );
    let read = |value: &Json| value.as_str().and_then(quantity::parse);
    for (kind, all) in [("limits", limits), ("requests", requests)] {
        for (name, value) in all.as_object().into_iter().flatten() {
            if read(value).is_some_and(|number| number < 0.0) {
                let place = format!("{place}.resources.{kind}[{name}]");
                let why = "must be greater than or equal to 0";
                causes.push(Cause::invalid(place, value, why));
            }
        }
    }
    for (name, request) in requests.as_object().into_iter().flatten() {
        if let (Some(wanted), Some(most)) = (read(request), read(&limits[name]))
            && wanted > most
        {
            let most = limits[name].as_str().unwrap_or_default();
            let why = format!("must be less than or equal to {name} limit of {most}");
            causes.push(Cause::invalid(
                format!("{place}.resources.requests"),
                request,
                &why,
            ));
        }
    }
}

fn probe(probe: &Json, kind: &str, place: &str, causes: &mut Vec<Cause>) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    let mut given = handlers
        .iter()
        .filter(|handler| probe[**handler].is_object());
    if given.next().is_none() {
        causes.push(Cause::required(place, "must specify a handler type"));
    }
    for handler in given {
        let why = "may not specify more than 1 handler type";
        causes.push(Cause::forbidden(format!("{place}.{handler}"), why));
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if number(probe, &format!("/{field}")).is_some_and(|value| value < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(
                format!("{place}.{field}"),
                &probe[field],
                why,
            ));
        }
    }
    for handler in ["httpGet", "tcpSocket", "grpc"] {
        let port = &probe[handler]["port"];
        if port.as_i64().is_some_and(|port| !PORTS.contains(&port)) {
            let place = format!("{place}.{handler}.port");
            causes.push(Cause::invalid(place, port, WRONG_PORT));
        }
    }
    let success = number(probe, "/successThreshold").unwrap_or(1);
    if kind != "readinessProbe" && success != 1 {
        let place = format!("{place}.successThreshold");
        causes.push(Cause::invalid(place, &success.into(), "must be 1"));
    }
}
