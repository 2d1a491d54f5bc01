//! Reads secrets from other stores by reference: AWS Secrets Manager and Parameter Store with the target's credentials, Vault
//! in the way of its own command line (`VAULT_ADDR`, `VAULT_TOKEN` or an AppRole), files and variables.

mod vault;

use std::{env, fs::File, io::Read, path::PathBuf, time::Duration};

use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::{AwsCall, AwsClient, aws::service};
use crate::value::{Failure, FailureClass, Reference, Secret, Source, Value};
use vault::Vault;
use windlass_ground::{blocking, boxed};

/// Reads secrets by reference.
#[derive(Clone, Debug)]
pub struct SecretReader {
    aws: AwsClient,
    reach: Reach,
}

/// What a reader is allowed to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Everything: files and variables belong to the person who started the run.
    Here,
    /// No files and variables: they are on another machine.
    Elsewhere,
    Nowhere,
}

/// A secret is read in well under a second.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest secret: Secrets Manager allows 64 KiB, and files may contain a keystore.
const MAX_BYTES: u64 = 1 << 20;

impl SecretReader {
    pub fn new(aws: AwsClient) -> Self {
        Self {
            aws,
            reach: Reach::Here,
        }
    }

    /// Returns a reader that reads nothing.
    pub fn nowhere() -> Self {
        Self {
            aws: AwsClient::nowhere(),
            reach: Reach::Nowhere,
        }
    }

    /// Returns a reader without files and variables, which are on another machine.
    pub fn elsewhere(self) -> Self {
        Self {
            reach: Reach::Elsewhere,
            ..self
        }
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// An error of the other side, or a missing part. It contains nothing of the secret.
    #[boxed]
    pub async fn read(&self, reference: &Reference) -> Result<Secret, Failure> {
        let name = format!("read {}", reference.as_str());
        let refused =
            |code: &str, why: String| Failure::new(FailureClass::Rejected, &*name, code, why);
        let about = |failure: Failure| Failure {
            operation: format!("{name}: {}", failure.operation),
            ..failure
        };
        match reference.source() {
            _ if self.reach == Reach::Nowhere => Err(refused(
                "NotHere",
                "secrets that are kept elsewhere are not read here".into(),
            )
            .with_hint(
                "in a test, give the secret itself as the param, and answer `secret::read` in `given`",
            )),
            Source::SecretsManager { id, key } => {
                let params = Value::map([("SecretId", id.as_str().into())]);
                let answer = self.ask("secretsmanager", "GetSecretValue", params).await;
                let answer = answer.map_err(about)?;
                let text = answer
                    .field("SecretString")
                    .or(answer.field("SecretBinary"));
                let Some(Value::Secret(secret)) = text else {
                    return Err(refused("NoValue", "the secret has no value".into()));
                };
                match key {
                    None => Ok(secret.clone()),
                    Some(key) => field_of(secret, key).map_err(|why| refused("NoSuchKey", why)),
                }
            }
            Source::Ssm { name: parameter } => {
                let params = Value::map([
                    ("Name", parameter.as_str().into()),
                    ("WithDecryption", true.into()),
                ]);
                let answer = self
                    .ask("ssm", "GetParameter", params)
                    .await
                    .map_err(about)?;
                match answer
                    .field("Parameter")
                    .and_then(|found| found.field("Value"))
                {
                    Some(Value::Secret(secret)) => Ok(secret.clone()),
                    Some(Value::String(text)) => Ok(Secret::new(text.as_str())),
                    _ => Err(refused("NoValue", "the parameter has no value".into())),
                }
            }
            Source::Vault { path, field } => {
                let vault = blocking(Vault::of_environment).await;
                vault
                    .map_err(|(why, hint)| refused("NoVault", why).with_hint(hint))?
                    .read(&name, path, field)
                    .await
            }
            Source::File { .. } | Source::Variable { .. } if self.reach == Reach::Elsewhere => Err(refused(
                "NotHere",
                "files and variables of who started the run are not on this worker".into(),
            )
            .with_hint("refer to Secrets Manager, the Parameter Store or Vault instead")),
            Source::File { path } => {
                let path = path.clone();
                let read = blocking(move || read_file(&path)).await;
                read.map_err(|why| refused("NotReadable", why))
            }
            Source::Variable { name: variable } => match env::var(variable) {
                Ok(text) => Ok(Secret::new(text)),
                Err(_) => Err(
                    refused("NotSet", format!("the variable {variable} is not set"))
                        .with_hint("set it where the run is driven; a resume reads it again"),
                ),
            },
        }
    }

    async fn ask(&self, name: &str, operation: &str, params: Value) -> Result<Value, Failure> {
        let service = service(name).expect("a model that is compiled in");
        let call = AwsCall {
            service: service.clone(),
            operation: operation.into(),
            params,
            timeout: TIMEOUT,
            is_repeatable: true,
            is_read: true,
        };
        self.aws.call(&call).await
    }
}

/// A field of the JSON object in a secret.
fn field_of(secret: &Secret, key: &str) -> Result<Secret, String> {
    // The parser's message is not shown, because it quotes the secret.
    let json: Json = serde_json::from_str(secret.reveal())
        .map_err(|_| format!("the secret is not JSON, so it has no key `{key}`"))?;
    one_of(json.as_object(), key)
        .map_err(|names| format!("the secret has no key `{key}` (it has {names})"))
}

/// Returns a field of an object as a secret, or the names of the fields that there are.
fn one_of(fields: Option<&Map<String, Json>>, name: &str) -> Result<Secret, String> {
    match fields.and_then(|fields| fields.get(name)) {
        Some(Json::String(text)) => Ok(Secret::new(text.as_str())),
        Some(other) => Ok(Secret::new(other.to_string())),
        None => {
            let names = fields.into_iter().flatten().map(|(name, _)| name.as_str());
            Err(names.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Reads a file as a secret, without the line break at its end, as `curl --data @FILE` and Docker's secrets do.
fn read_file(path: &str) -> Result<Secret, String> {
    let path = match path.strip_prefix("~/") {
        Some(rest) => env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(path),
    };
    let wrong = |why: String| format!("{}: {why}", path.display());
    // The size in the metadata need not be right: a pipe or a device has none.
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|e| wrong(e.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("it is larger than 1 MiB".into()));
    }
    let bytes = match bytes.strip_suffix(b"\n") {
        Some(rest) => rest.strip_suffix(b"\r").unwrap_or(rest),
        None => bytes.as_slice(),
    };
    Ok(Secret::of_bytes(bytes))
}

/// Replaces each reference to a secret by the secret.
///
/// # Errors
/// The first secret that can't be read.
#[boxed]
pub async fn resolve(reader: &SecretReader, value: Value) -> Result<Value, Failure> {
    Ok(match value {
        Value::Reference(reference) => Value::Secret(reader.read(&reference).await?),
        Value::List(items) => {
            let mut read = Vec::with_capacity(items.len());
            for item in items {
                read.push(Box::pin(resolve(reader, item)).await?);
            }
            Value::List(read)
        }
        Value::Map(map) => {
            let mut read = Vec::with_capacity(map.len());
            for (key, item) in map {
                read.push((key, Box::pin(resolve(reader, item)).await?));
            }
            Value::map(read)
        }
        other => other,
    })
}
