//! Computes the cluster RBAC permissions that calls need.

use std::collections::BTreeSet;

use super::{
    given::HostCall,
    host::{Needs, On, Rule},
};
use windlass_world::outside::Permit;

/// The resources of workloads.
const WORKLOADS: [&str; 3] = ["deployments", "statefulsets", "daemonsets"];

/// Returns the permissions that calls need together, and the functions whose kind of objects is only known at run time. `with_undo`
/// adds what their reversal needs.
pub fn permits_of<'a>(
    calls: impl IntoIterator<Item = &'a HostCall>,
    with_undo: bool,
) -> (BTreeSet<Permit>, BTreeSet<&'static str>) {
    let (mut permits, mut open) = (BTreeSet::new(), BTreeSet::new());
    for call in calls {
        let Some(Needs::Kubernetes { run, undo }) = call.row().map(|row| &row.needs) else {
            continue;
        };
        for rule in run.iter().chain(undo.iter().filter(|_| with_undo)) {
            match of_rule(call, rule) {
                Some(found) => permits.extend(found),
                None => {
                    open.insert(call.function);
                }
            }
        }
    }
    let of_all: BTreeSet<_> = permits
        .iter()
        .filter(|permit| permit.name.is_none())
        .cloned()
        .collect();
    permits.retain(|permit| permit.name.is_none() || !of_all.contains(&permit.of_any_name()));
    (permits, open)
}

/// The verbs that change an existing object.
const CHANGING: [&str; 3] = ["patch", "update", "delete"];
/// The resources that other objects depend on.
const GROUND: [&str; 2] = ["namespaces", "customresourcedefinitions"];

impl HostCall {
    /// Says whether the call may change this object of some cluster, or something that the object depends on. `object` has the
    /// form in which calls record it: `deployment/istiod in istio-system`.
    pub fn may_change(&self, object: &str) -> bool {
        if !self.is_change() {
            return false;
        }
        let module = self.row().map_or("", |row| row.module());
        match module {
            "kube" => {}
            // A program such as helm, or an API, may change anything.
            "exec" | "http" => return true,
            _ => return false,
        }
        let wanted = patch_of(object);
        let (permits, open) = permits_of([self], false);
        let is_it = |permit: &Permit| {
            let is_kind = (&permit.group, &permit.resource) == (&wanted.group, &wanted.resource);
            let is_name = permit.name.is_none() || permit.name == wanted.name;
            CHANGING.contains(&permit.verb)
                && (is_kind && is_name || GROUND.contains(&permit.resource.as_str()))
        };
        !open.is_empty() || permits.iter().any(is_it)
    }
}

/// Says whether a change of one object makes what is known of another one outdated: they are the same object, or the other one
/// depends on it. Both have the form in which calls record them.
pub fn outdates(changed: &str, other: &str) -> bool {
    let changed = patch_of(changed);
    GROUND.contains(&changed.resource.as_str()) || changed == patch_of(other)
}

/// Returns the permission to patch an object, such as `deployment/istiod in istio-system`; the namespace does not matter.
fn patch_of(object: &str) -> Permit {
    let (kind, rest) = object.split_once('/').unwrap_or((object, ""));
    let name = rest.split(' ').next().filter(|name| !name.is_empty());
    Permit::of(kind, "patch", name)
}

/// Returns the permissions of a rule; `None` if the kind is not known.
fn of_rule(call: &HostCall, rule: &Rule) -> Option<Vec<Permit>> {
    let about = call.about();
    let (words, name): (Vec<&str>, _) = match (rule.on, about.kind.as_deref()) {
        (On::All(word), _) => (vec![word], None),
        (On::Secret, _) => (vec!["secrets"], about.name.as_deref()),
        (On::Argument | On::Workload, Some(kind)) => (vec![kind], about.name.as_deref()),
        (On::Workload, None) => (WORKLOADS.to_vec(), None),
        (On::Argument, None) => return None,
    };
    let permits = words
        .iter()
        .flat_map(|word| rule.verbs.iter().map(|verb| Permit::of(word, verb, name)));
    Some(permits.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Script;
    use windlass_world::outside::rules;

    /// Returns the rules for a script body, one on each line, and the functions whose kind is not known.
    fn rules_of(body: &str, with_undo: bool) -> (Vec<String>, Vec<&'static str>) {
        let text: Arc<str> = body.into();
        let mut no_imports = |_: &str, _: &str| Err("no imports".to_owned());
        let script = Script::parse_inline("body", text, Default::default(), &mut no_imports)
            .unwrap_or_else(|faults| panic!("{faults:?}"));
        let (permits, open) = permits_of(&script.host_calls, with_undo);
        let shown = rules(&permits).into_iter().map(|rule| {
            let names = match rule.names.as_slice() {
                [] => String::new(),
                names => format!(" named {}", names.join(",")),
            };
            let (resources, verbs) = (rule.resources.join(","), rule.verbs.join(","));
            format!("{}: {resources}{names} {verbs}", rule.group)
        });
        (shown.collect(), open.into_iter().collect())
    }

    #[test]
    fn what_can_t_be_told_is_named() {
        let body = r#"
            kube::restart(inputs.c, "", inputs.workload);
            kube::get(inputs.c, "", inputs.object);
            kube::patch(inputs.c, "", `roottrustpolicies.admin.gloo.solo.io/${inputs.name}`, #{});
            pca::list_tags(inputs.ca);
        "#;
        let (rules, open) = rules_of(body, false);
        assert_eq!(open, ["kube::get"]);
        assert_eq!(
            rules,
            [
                "admin.gloo.solo.io: roottrustpolicies get,patch",
                "apps: daemonsets,deployments,statefulsets get,patch"
            ]
        );
    }

    #[test]
    fn names_that_are_known_are_named() {
        let body = r#"
            kube::apply_secret(inputs.c, "istio-system", "cacerts", #{ a: inputs.a });
            kube::get(inputs.c, "istio-system", "secret/other");
            kube::restart(inputs.c, "istio-system", "deployment/istiod");
            kube::list(inputs.c, "", "pods");
        "#;
        let (rules, open) = rules_of(body, true);
        assert!(open.is_empty());
        assert_eq!(
            rules,
            [
                // A rule can't limit `create` to one name.
                ": secrets create",
                ": secrets named cacerts delete,get,patch",
                ": secrets named other get",
                ": pods list",
                "apps: deployments named istiod get,patch",
            ]
        );
    }

    #[test]
    fn c9_a_call_may_change_what_its_text_does_not_rule_out() {
        let calls = |body: &str| {
            let mut no_imports = |_: &str, _: &str| Err("no imports".to_owned());
            Script::parse_inline("body", body.into(), Default::default(), &mut no_imports)
                .unwrap_or_else(|faults| panic!("{faults:?}"))
                .host_calls
        };
        let may = |body: &str, object: &str| {
            let found = calls(body);
            assert!(!found.is_empty(), "{body}");
            found.iter().any(|call| call.may_change(object))
        };
        let secret = "secret/cacerts in istio-system";
        for body in [
            "kube::apply_secret(inputs.c, \"istio-system\", \"cacerts\", #{ a: inputs.a });",
            "kube::apply_secret(inputs.c, \"istio-system\", inputs.name, #{ a: inputs.a });",
            "kube::delete(inputs.c, \"\", inputs.object);",
            "kube::patch(inputs.c, \"\", \"secrets/cacerts\", #{});",
            "kube::apply(inputs.c, #{ apiVersion: \"v1\", kind: \"Namespace\", metadata: #{ name: \"istio-system\" } });",
            "exec::run(\"helm\", [\"upgrade\"]);",
            "http::post(\"https://x\");",
        ] {
            assert!(may(body, secret), "{body}");
        }
        for body in [
            "kube::apply_secret(inputs.c, \"istio-system\", \"other\", #{ a: inputs.a });",
            "kube::restart(inputs.c, \"istio-system\", \"deployment/cacerts\");",
            "kube::get(inputs.c, \"istio-system\", \"secret/cacerts\");",
            "pca::delete_certificate_authority(inputs.arn, #{ restore_within_days: 7 });",
            "exec::run(\"helm\", [\"list\"], #{ read: true });",
        ] {
            assert!(!may(body, secret), "{body}");
        }
    }

    #[test]
    fn what_all_names_may_is_not_said_for_one() {
        let body = r#"
            kube::get(inputs.c, "a", "secret/one");
            kube::get(inputs.c, "a", `secret/${inputs.name}`);
        "#;
        assert_eq!(rules_of(body, false).0, [": secrets get"]);
    }
}
