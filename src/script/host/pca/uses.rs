//! What calls of AWS Private CA mean for the undo of another run, which may delete a CA that they used.

use super::super::undo::Done;
use windlass_world::value::Value;

/// What a call did with a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthorityUse {
    Created,
    /// It issued a certificate.
    Issued,
    Deleted,
    /// An output names it.
    Named,
}

/// Returns the ARN of the CA that a call is about, and what it did with it.
pub fn authority_use(done: Done) -> Option<(AuthorityUse, String)> {
    let function = done.function.strip_prefix("pca::")?;
    let (used, arn) = match function {
        "create_certificate_authority" => (AuthorityUse::Created, done.result.map(Value::to_text)?),
        "issue_certificate" => (AuthorityUse::Issued, done.before.field("ca")?.to_text()),
        "delete_certificate_authority" => (
            AuthorityUse::Deleted,
            done.arguments.get("ca")?.as_str()?.to_owned(),
        ),
        _ => return None,
    };
    is_authority(&arn).then_some((used, arn))
}

/// Says whether a text is the ARN of a CA.
pub fn is_authority(text: &str) -> bool {
    text.starts_with("arn:")
        && text.contains(":certificate-authority/")
        && !text.contains("/certificate/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    const CA: &str = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/05aef7b7";

    #[test]
    fn a_call_names_its_authority() {
        let used = |function: &str, arguments: Json, before: Value, result: Option<&Value>| {
            let (arguments, before) = (&arguments, &before);
            authority_use(Done {
                function,
                key: None,
                arguments,
                before,
                result,
            })
        };
        let arn = Value::from(CA);
        let created = used(
            "pca::create_certificate_authority",
            json!({}),
            Value::Null,
            Some(&arn),
        );
        assert_eq!(created, Some((AuthorityUse::Created, CA.into())));
        let record = Value::map([("ca", arn)]);
        let issued = used("pca::issue_certificate", json!({}), record, None);
        assert_eq!(issued, Some((AuthorityUse::Issued, CA.into())));
        let deleted = used(
            "pca::delete_certificate_authority",
            json!({ "ca": CA }),
            Value::Null,
            None,
        );
        assert_eq!(deleted, Some((AuthorityUse::Deleted, CA.into())));
        assert_eq!(used("pca::list_tags", json!(CA), Value::Null, None), None);
        assert_eq!(used("kube::get", json!(CA), Value::Null, None), None);
        assert!(is_authority(CA) && !is_authority(&format!("{CA}/certificate/1")));
    }
}
