//! Prepares the params of a run to be sent to a server.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{error::RunsError, nearby::read_param};
use windlass_world::{
    outside::{AwsClient, SecretReader},
    value::{OnlyNamed, Value},
};

/// Returns params as JSON, with secrets in plain text: the server seals them when they arrive. Secrets in files or variables of this machine
/// are read here.
///
/// # Errors
/// A file or a variable that can't be read, or a reference to any other store: a server does not accept references.
pub async fn sendable(params: &BTreeMap<String, Value>) -> Result<Json, RunsError> {
    let reader = SecretReader::new(AwsClient::nowhere());
    let mut sent = serde_json::Map::new();
    for (name, value) in params {
        let read = read_param(&reader, name, value).await?;
        let json = read.reveal_json().map_err(|OnlyNamed(reference)| {
            let why = format!(
                "the param `{name}` refers to {}, but a server does not accept references",
                reference.as_str()
            );
            RunsError::wrong("not-remote", why).hint(format!(
                "send the secret itself: -p {name}=@FILE, -p {name}=env:NAME or WINDLASS_PARAM_{}",
                name.to_uppercase()
            ))
        })?;
        sent.insert(name.clone(), json);
    }
    Ok(Json::Object(sent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_world::value::Reference;

    fn sent(reference: &str) -> Result<String, RunsError> {
        let reference = Reference::parse(reference).expect("whole");
        let value = Value::Reference(reference.expect("a reference"));
        let params = [("tokens".to_owned(), Value::List(vec![value]))].into();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("threads");
        runtime
            .block_on(sendable(&params))
            .map(|json| json.to_string())
    }

    #[test]
    fn a_reference_is_never_sent_as_the_secret() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "hunter2\n").expect("written");
        let local = format!("file:{}", file.path().display());
        assert_eq!(
            sent(&local).ok().as_deref(),
            Some(r#"{"tokens":["hunter2"]}"#)
        );
        for reference in [
            "ssm:/a",
            "secretsmanager:a#b",
            "vault:kv/a#b",
            "env:WINDLASS_NO_SUCH_VARIABLE",
        ] {
            let refused = sent(reference).expect_err(reference);
            let code = if reference.starts_with("env:") {
                "params"
            } else {
                "not-remote"
            };
            assert_eq!(refused.code, code, "{reference}");
            assert!(refused.message.contains("`tokens`"), "{}", refused.message);
        }
    }
}
