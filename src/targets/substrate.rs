use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// Which engine runs a target's workflows, where it is not this process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { restate = \"https://engine.internal:8080\" }"
)]
pub struct SubstrateTarget {
    /// The address of a Restate server's ingress.
    pub restate: String,
    /// That of its admin API, for `resume`; the ingress's host at port 9070 if it is left out.
    pub admin: Option<String>,
    /// Sent with each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The environment variable that holds a bearer token.
    pub token_env: Option<String>,
    /// Certificates to trust beside the system's, as a PEM file.
    pub ca: Option<PathBuf>,
}

/// The port of the admin API unless the server's configuration says another.
const ADMIN_PORT: u16 = 9070;

impl SubstrateTarget {
    /// The engine at an address, with nothing else said about it.
    pub fn at(url: &str) -> Self {
        Self {
            restate: url.into(),
            admin: None,
            headers: BTreeMap::new(),
            token_env: None,
            ca: None,
        }
    }

    /// The address of the ingress, without a slash at its end.
    pub fn ingress(&self) -> String {
        self.restate.trim_end_matches('/').into()
    }

    /// The address of the admin API, without a slash at its end.
    pub fn admin(&self) -> String {
        if let Some(admin) = &self.admin {
            return admin.trim_end_matches('/').into();
        }
        let ingress = self.ingress();
        let host_starts = ingress.find("://").map_or(0, |at| at + 3);
        let host_ends = ingress[host_starts..]
            .rfind(':')
            .map_or(ingress.len(), |at| host_starts + at);
        format!("{}:{ADMIN_PORT}", &ingress[..host_ends])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_api_is_beside_the_ingress() {
        let admin = |url| SubstrateTarget::at(url).admin();
        assert_eq!(admin("http://a.b:8080/"), "http://a.b:9070");
        assert_eq!(admin("https://a.b"), "https://a.b:9070");
    }
}
