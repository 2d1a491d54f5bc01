/// Whether a host function leaves the world as it was.
pub fn is_a_look(function: &str) -> bool {
    let Some((module, name)) = function.split_once("::") else {
        return true;
    };
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match module {
        "pca" => starts(&["describe", "list", "get", "wait", "certificate_authority"]),
        "kube" => !matches!(
            name,
            "apply" | "apply_secret" | "patch" | "delete" | "restart" | "replace_pods" | "evict"
        ),
        "file" => matches!(name, "read" | "exists" | "list"),
        "http" => matches!(name, "get" | "head"),
        "exec" => false,
        _ => true,
    }
}
