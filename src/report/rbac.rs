use crate::{
    compile::Workflow,
    outside::{permits_of, rules},
};

/// The ClusterRole that a workflow's scripts need, as YAML, from the host functions that they call, and
/// `with_undo` their reversal. `None` where they speak to no cluster.
pub fn cluster_role(workflow: &Workflow, with_undo: bool) -> Option<String> {
    let calls = workflow.host_calls();
    let calls = calls
        .iter()
        .map(|call| (call.function.as_str(), call.kind.as_deref()));
    let (permits, open) = permits_of(calls, with_undo);
    if permits.is_empty() && open.is_empty() {
        return None;
    }
    let list = |items: &[String]| {
        let quoted: Vec<_> = items.iter().map(|item| format!("\"{item}\"")).collect();
        quoted.join(", ")
    };
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: windlass-{}\n",
        workflow.name
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
    for (group, resources, verbs) in rules {
        let verbs: Vec<String> = verbs.iter().map(|verb| (*verb).to_owned()).collect();
        text.push_str(&format!(
            "  - apiGroups: [\"{group}\"]\n    resources: [{}]\n    verbs: [{}]\n",
            list(&resources),
            list(&verbs)
        ));
    }
    Some(text)
}
