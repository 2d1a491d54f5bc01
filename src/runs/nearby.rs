//! Secrets in files and variables of this machine, to which params refer.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use super::error::RunsError;
use windlass_world::{
    outside::{AwsClient, SecretReader},
    value::{Failure, Source, Value},
};

/// Refuses params that refer to a file or a variable of this machine that can't be read, or is empty: the step that needs it may come
/// late.
///
/// # Errors
/// `params`, with the first such param.
pub async fn refuse_unreadable(params: &BTreeMap<String, Value>) -> Result<(), RunsError> {
    let reader = SecretReader::new(AwsClient::nowhere());
    for (name, value) in params {
        let read = read_param(&reader, name, value).await?;
        if let (Value::Reference(reference), Value::Secret(secret)) = (value, &read)
            && secret.reveal().is_empty()
        {
            let why = format!("the param `{name}`: {} is empty", reference.as_str());
            return Err(RunsError::wrong("params", why)
                .hint(format!("if it is to be empty: -p {name}=text:")));
        }
    }
    Ok(())
}

/// Replaces references to files and variables of this machine in params with their secrets, for a run that other machines drive.
///
/// # Errors
/// As of [`refuse_unreadable`].
pub async fn read_here(
    params: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, RunsError> {
    refuse_unreadable(params).await?;
    let reader = SecretReader::new(AwsClient::nowhere());
    let mut read = BTreeMap::new();
    for (name, value) in params {
        read.insert(name.clone(), read_param(&reader, name, value).await?);
    }
    Ok(read)
}

/// Replaces references to files and variables of this machine in a param with their secrets.
///
/// # Errors
/// `params`, with the reason.
pub(super) async fn read_param(
    reader: &SecretReader,
    name: &str,
    value: &Value,
) -> Result<Value, RunsError> {
    read_local(reader, value).await.map_err(|failure| {
        let why = format!("the param `{name}`: {failure}");
        let error = RunsError::wrong("params", why);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

type Reading<'a> = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + 'a>>;

/// Replaces references to files and variables with their secrets; other references stay.
fn read_local<'a>(reader: &'a SecretReader, value: &'a Value) -> Reading<'a> {
    Box::pin(async move {
        Ok(match value {
            Value::Reference(reference) => match reference.source() {
                Source::File { .. } | Source::Variable { .. } => {
                    Value::Secret(reader.read(reference).await?)
                }
                Source::SecretsManager { .. } | Source::Ssm { .. } | Source::Vault { .. } => {
                    value.clone()
                }
            },
            Value::List(items) => {
                let mut read = Vec::with_capacity(items.len());
                for item in items {
                    read.push(read_local(reader, item).await?);
                }
                Value::List(read)
            }
            Value::Map(map) => {
                let mut read = BTreeMap::new();
                for (key, item) in map {
                    read.insert(key.clone(), read_local(reader, item).await?);
                }
                Value::Map(read)
            }
            other => other.clone(),
        })
    })
}
