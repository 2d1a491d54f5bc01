//! Validation of RBAC objects.

use serde_json::Value as Json;

use crate::{
    object::{items, text},
    resource::Resource,
    wire::Cause,
};

pub(super) fn role(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, rule) in items(object, "/rules").iter().enumerate() {
        let place = format!("rules[{i}]");
        let has = |field: &str| !items(rule, &format!("/{field}")).is_empty();
        if !has("verbs") {
            let why = "verbs must contain at least one value";
            causes.push(Cause::required(format!("{place}.verbs"), why));
        }
        if has("nonResourceURLs") {
            if resource.namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                causes.push(Cause::invalid(
                    format!("{place}.nonResourceURLs"),
                    &rule["nonResourceURLs"],
                    why,
                ));
            }
            continue;
        }
        if !has("apiGroups") {
            let why = "resource rules must supply at least one api group";
            causes.push(Cause::required(format!("{place}.apiGroups"), why));
        }
        if !has("resources") {
            let why = "resource rules must supply at least one resource";
            causes.push(Cause::required(format!("{place}.resources"), why));
        }
    }
    causes
}

pub(super) fn binding(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kinds = match text(object, "/kind") {
        Some("ClusterRoleBinding") => &["ClusterRole"][..],
        _ => &["Role", "ClusterRole"],
    };
    let kind = &object["roleRef"]["kind"];
    if !kinds.iter().any(|known| kind == known) {
        causes.push(Cause::unsupported("roleRef.kind", kind, kinds));
    }
    if text(object, "/roleRef/name").is_none_or(str::is_empty) {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (i, subject) in items(object, "/subjects").iter().enumerate() {
        let place = format!("subjects[{i}]");
        if text(subject, "/name").is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{place}.name"), ""));
        }
        match text(subject, "/kind") {
            Some("ServiceAccount") => {
                if text(subject, "/namespace").is_none_or(str::is_empty) {
                    causes.push(Cause::required(format!("{place}.namespace"), ""));
                }
            }
            Some("User" | "Group") => {}
            _ => causes.push(Cause::unsupported(
                format!("{place}.kind"),
                &subject["kind"],
                &["ServiceAccount", "User", "Group"],
            )),
        }
    }
    causes
}

pub(super) fn binding_update(before: &Json, object: &Json) -> Vec<Cause> {
    if before["roleRef"] == object["roleRef"] {
        Vec::new()
    } else {
        vec![Cause::invalid(
            "roleRef",
            &object["roleRef"],
            "cannot change roleRef",
        )]
    }
}
