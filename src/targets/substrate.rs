use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// The Restate server that runs a target's workflows, instead of this process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { restate = \"https://engine.internal:8080\" }"
)]
pub struct SubstrateTarget {
    /// The address of a Restate server's ingress.
    pub restate: String,
    /// The address of its admin API, for `resume`; port 9070 of the ingress's host if it is left out.
    pub admin: Option<String>,
    /// Headers that are sent with each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The environment variable that holds a bearer token.
    pub token_env: Option<String>,
    /// A PEM file with certificates to trust in addition to those of the system.
    pub ca: Option<PathBuf>,
}

/// The default port of the admin API.
const ADMIN_PORT: u16 = 9070;

impl SubstrateTarget {
    /// Returns the settings for the Restate server at an address, without any options.
    pub fn at(url: &str) -> Self {
        Self {
            restate: url.into(),
            admin: None,
            headers: BTreeMap::new(),
            token_env: None,
            ca: None,
        }
    }

    /// Returns the address of the ingress, without a trailing slash.
    pub fn ingress(&self) -> String {
        self.restate.trim_end_matches('/').into()
    }

    /// Returns the address of the admin API, without a trailing slash.
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
