use serde_json::Value as Json;

use windlass_journal::CallRecord;
use windlass_script::{Class, Function};

/// Formats a call for a line: its function, and its object.
pub fn call_line(call: &CallRecord) -> String {
    let function = &call.function;
    let change = windlass_script::function(function).and_then(Function::change);
    let may_be_tried = change.is_some_and(|change| change.unless == Some("dry_run"));
    // A change that was only tried, as a check does, is recorded as a read.
    let tried = if may_be_tried && call.class == Class::Read {
        " (dry run)"
    } else {
        ""
    };
    match object(call) {
        Some(object) => format!("{function}{tried} {object}"),
        None => format!("{function}{tried}"),
    }
}

/// Returns the object of a call: an object of a cluster, a CA and a certificate of it, a file, an address, or a program; as far as its
/// record shows it.
pub(super) fn object(call: &CallRecord) -> Option<String> {
    let arguments = &call.arguments;
    let map = match arguments {
        Json::String(text) => return Some(text.clone()),
        Json::Object(map) => map,
        _ => return None,
    };
    let text = |key: &str| {
        map.get(key)
            .and_then(Json::as_str)
            .filter(|text| !text.is_empty())
    };
    if let Some(program) = text("program") {
        let arguments = map.get("arguments").and_then(Json::as_array);
        let arguments = arguments
            .into_iter()
            .flatten()
            .map(|argument| match argument {
                Json::String(text) => text.clone(),
                // A number or a bool is given to the program as text.
                other => other.to_string(),
            });
        let words: Vec<_> = std::iter::once(program.to_owned())
            .chain(arguments)
            .collect();
        return Some(words.join(" "));
    }
    // The query may contain a token.
    let url = text("url").and_then(|url| url.split(['?', '#']).next());
    let named = text("object").or(url).or(text("name")).or(text("kind"));
    let parts = [
        text("cluster").map(str::to_owned),
        named.map(str::to_owned),
        // `Secret/cacerts in istio-system` contains it already.
        text("namespace")
            .filter(|_| text("object").is_none())
            .map(|namespace| format!("in {namespace}")),
        text("ca").or(text("arn")).map(str::to_owned),
        text("certificate")
            .filter(|certificate| certificate.starts_with("arn:"))
            .map(str::to_owned),
        text("serial").map(|serial| format!("serial {serial}")),
        text("principal").map(|principal| format!("principal {principal}")),
        common_name(map.get("subject")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn common_name(subject: Option<&Json>) -> Option<String> {
    let name = subject?.get("common_name")?.as_str()?;
    Some(format!("CN={name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use windlass_world::value::Digest;

    #[test]
    fn a_change_that_was_only_tried_is_marked() {
        let line = |function: &str, class| {
            call_line(&CallRecord {
                function: function.into(),
                arguments: json!({}),
                digest: Digest::ZERO,
                class,
            })
        };
        assert_eq!(line("kube::apply", Class::Read), "kube::apply (dry run)");
        assert_eq!(line("kube::apply", Class::Keyed), "kube::apply");
        assert_eq!(line("kube::get", Class::Read), "kube::get");
    }

    #[test]
    fn e3_a_call_is_named_with_its_object() {
        let line = |function: &str, arguments| {
            call_line(&CallRecord {
                function: function.into(),
                arguments,
                digest: Digest::ZERO,
                class: Class::Keyed,
            })
        };
        let object = json!({ "cluster": "mgmt", "object": "Secret/cacerts in istio-system" });
        assert_eq!(
            line("kube::delete", object),
            "kube::delete mgmt Secret/cacerts in istio-system"
        );
        let written = json!({ "name": "root.pem", "sha256": "00" });
        assert_eq!(line("file::write", written), "file::write root.pem");
        let revoked = json!({ "ca": "arn:aws:x", "serial": "0a", "reason": "SUPERSEDED" });
        assert_eq!(
            line("pca::revoke_certificate", revoked),
            "pca::revoke_certificate arn:aws:x serial 0a"
        );
        let made = json!({ "type": "ROOT", "subject": { "common_name": "Root" } });
        assert_eq!(
            line("pca::create_certificate_authority", made),
            "pca::create_certificate_authority CN=Root"
        );
        let ran = json!({ "program": "istioctl", "arguments": ["analyze", "-A"], "options": {} });
        assert_eq!(line("exec::run", ran), "exec::run istioctl analyze -A");
        let scaled =
            json!({ "program": "kubectl", "arguments": ["scale", 0, "--wait", true, 1.5] });
        assert_eq!(
            line("exec::run", scaled),
            "exec::run kubectl scale 0 --wait true 1.5"
        );
        let sent = json!({ "url": "https://example.com/x", "options": { "json": 1 } });
        assert_eq!(line("http::post", sent), "http::post https://example.com/x");
        assert_eq!(line("time::now", Json::Null), "time::now");
    }
}
