use std::{env, fs};

use serde_json::{Value as Json, json};

use super::{TIMEOUT, one_of};
use crate::{
    outside::{
        aws::encode,
        body::{BodyError, read_answer},
        http::{by_proxy, read_authorities},
        proxy::Proxies,
        transport::Transport,
    },
    value::{Failure, FailureClass, Secret, causes},
};

/// The largest answer: a secret of 1 MiB with its metadata.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A server of HashiCorp Vault or OpenBao, according to the environment.
pub(super) struct Vault {
    address: String,
    login: Login,
    namespace: Option<String>,
    http: reqwest::Client,
}

enum Login {
    Token(Secret),
    AppRole { role: String, secret: Secret },
}

impl Vault {
    pub(super) fn of_environment() -> Result<Self, (String, String)> {
        let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
        let address = variable("VAULT_ADDR").ok_or_else(|| {
            let hint = "set VAULT_ADDR, such as https://vault.example.com:8200";
            ("no Vault is named".to_owned(), hint.to_owned())
        })?;
        let login = match (
            variable("VAULT_TOKEN"),
            variable("VAULT_ROLE_ID"),
            variable("VAULT_SECRET_ID"),
        ) {
            (Some(token), ..) => Login::Token(Secret::new(token)),
            (None, Some(role), Some(secret)) => Login::AppRole {
                role,
                secret: Secret::new(secret),
            },
            // The file that `vault login` writes.
            _ => match fs::read_to_string(env::home_dir().unwrap_or_default().join(".vault-token"))
            {
                Ok(token) if !token.trim().is_empty() => Login::Token(Secret::new(token.trim())),
                _ => {
                    let hint = "set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID of an AppRole, or run `vault login`";
                    return Err(("there is no token for Vault".into(), hint.into()));
                }
            },
        };
        let failed = |why: String| (why, "VAULT_CACERT names a file of CAs in PEM".to_owned());
        let mut builder = reqwest::Client::builder()
            .proxy(by_proxy(Proxies::of_environment()))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = variable("VAULT_CACERT") {
            let text = fs::read(&path).map_err(|e| failed(format!("{path}: {e}")))?;
            let roots = read_authorities(&text).map_err(|e| failed(format!("{path}: {e}")))?;
            builder = builder.tls_certs_only(roots);
        }
        Ok(Self {
            address: address.trim_end_matches('/').into(),
            login,
            namespace: variable("VAULT_NAMESPACE"),
            http: builder.build().map_err(|e| failed(causes(&e)))?,
        })
    }

    /// Reads a field of a secret in a key-value engine of either version.
    pub(super) async fn read(
        &self,
        name: &str,
        path: &str,
        field: &str,
    ) -> Result<Secret, Failure> {
        let refused =
            |code: &str, why: String| Failure::new(FailureClass::Rejected, name, code, why);
        let token = self.token(name).await?;
        // The `vault` command finds out in this way where the engine is mounted, and which version it has.
        let asked = format!("sys/internal/ui/mounts/{path}");
        let (mount, version) = match self.get(name, &asked, &token).await {
            Ok(answer) => {
                let mount = answer["data"]["path"].as_str().unwrap_or_default();
                let version = answer["data"]["options"]["version"].as_str().unwrap_or("1");
                (mount.trim_end_matches('/').to_owned(), version.to_owned())
            }
            // A token may have access to a secret but not to this.
            Err(failure) if matches!(failure.code.as_str(), "HTTP403" | "HTTP404") => {
                let (mount, _) = path.split_once('/').unwrap_or((path, ""));
                (mount.to_owned(), "2".into())
            }
            Err(failure) => return Err(failure),
        };
        let rest = path.strip_prefix(mount.as_str()).unwrap_or(path);
        let rest = rest.trim_start_matches('/');
        let (url, data) = match version.as_str() {
            "2" => (format!("{mount}/data/{rest}"), "/data/data"),
            _ => (path.to_owned(), "/data"),
        };
        let answer =
            self.get(name, &url, &token)
                .await
                .map_err(|failure| match failure.code.as_str() {
                    "HTTP404" => refused("NoSuchSecret", format!("Vault has no secret at {path}")),
                    _ => failure,
                })?;
        let found = answer.pointer(data).and_then(Json::as_object);
        one_of(found, field).map_err(|names| {
            let why = format!("the secret at {path} has no field `{field}` (it has {names})");
            refused("NoSuchField", why)
        })
    }

    async fn token(&self, name: &str) -> Result<Secret, Failure> {
        match &self.login {
            Login::Token(token) => Ok(token.clone()),
            Login::AppRole { role, secret } => {
                let body = json!({ "role_id": role, "secret_id": secret.reveal() });
                let request = self
                    .http
                    .post(format!("{}/v1/auth/approle/login", self.address))
                    .header("content-type", "application/json")
                    .body(body.to_string());
                let answer = self.send(name, request).await.map_err(|failure| {
                    failure.with_hint(
                        "the AppRole of VAULT_ROLE_ID and VAULT_SECRET_ID could not log in",
                    )
                })?;
                match answer["auth"]["client_token"].as_str() {
                    Some(token) => Ok(Secret::new(token)),
                    None => Err(Failure::new(
                        FailureClass::Rejected,
                        name,
                        "NoToken",
                        "the answer to the login has no token",
                    )),
                }
            }
        }
    }

    async fn get(&self, name: &str, path: &str, token: &Secret) -> Result<Json, Failure> {
        let encoded: Vec<_> = path.split('/').map(encode).collect();
        let request = self
            .http
            .get(format!("{}/v1/{}", self.address, encoded.join("/")))
            .header("x-vault-token", token.reveal());
        self.send(name, request).await
    }

    async fn send(&self, name: &str, request: reqwest::RequestBuilder) -> Result<Json, Failure> {
        let mut request = request.header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let lost = |e: reqwest::Error| {
            let e = e.without_url();
            let code = Transport::code_of(&e);
            Failure::new(FailureClass::Unavailable, name, code, causes(&e)).with_hint(format!(
                "is VAULT_ADDR ({}) right, and reachable from here?",
                self.address
            ))
        };
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let body = read_answer(answer, MAX_ANSWER_BYTES)
            .await
            .map_err(|e| match e {
                BodyError::Lost(e) => lost(e),
                large @ BodyError::TooLarge(_) => {
                    Failure::new(FailureClass::Rejected, name, "TooLarge", large.to_string())
                }
            })?;
        let json: Json = serde_json::from_slice(&body).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(json);
        }
        let class = FailureClass::of_status(status);
        let said: Vec<_> = json["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let message = if said.is_empty() {
            "Vault gave no reason".to_owned()
        } else {
            said.join("; ")
        };
        Err(Failure::new(class, name, format!("HTTP{status}"), message))
    }
}
