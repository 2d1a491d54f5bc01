use std::collections::BTreeSet;

use windlass_script::{HostCall, permits_of};
use windlass_world::outside::rules;

/// Returns the ClusterRole for the calls of a workflow, as YAML; `with_undo` includes their reversal. `None` if they use
/// no cluster.
pub fn cluster_role(workflow: &str, calls: &BTreeSet<HostCall>, with_undo: bool) -> Option<String> {
    let (permits, open) = permits_of(calls, with_undo);
    if permits.is_empty() && open.is_empty() {
        return None;
    }
    // The name of a workflow may be any text.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let name = workflow.replace(|c: char| !is_plain(c), "-");
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: windlass-{name}\n"
    );
    for function in open {
        text.push_str(&format!(
            "# {function} is called with a kind that is only known at run time: add what it needs\n"
        ));
    }
    let rules = rules(&permits);
    if rules.is_empty() {
        text.push_str("rules: []\n");
        return Some(text);
    }
    text.push_str("rules:\n");
    for rule in rules {
        text.push_str(&format!(
            "  - apiGroups: [\"{}\"]\n    resources: [{}]\n",
            rule.group,
            list(&rule.resources)
        ));
        if !rule.names.is_empty() {
            text.push_str(&format!("    resourceNames: [{}]\n", list(&rule.names)));
        }
        text.push_str(&format!("    verbs: [{}]\n", list(&rule.verbs)));
    }
    Some(text)
}

fn list<T: AsRef<str>>(items: &[T]) -> String {
    let quoted: Vec<_> = items
        .iter()
        .map(|item| format!("\"{}\"", item.as_ref()))
        .collect();
    quoted.join(", ")
}
