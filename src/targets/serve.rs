use std::{collections::BTreeSet, num::NonZeroUsize, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use strum::{Display, IntoStaticStr};

use super::{config::duration, grants::GrantConfig, oidc::OidcConfig};
use windlass_world::value::Digest;

/// The `[serve]` table of `windlass.toml`: who may use `windlass serve`, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { hosts = [\"windlass.example.com\"] }"
)]
pub struct ServeConfig {
    /// The host names under which browsers reach the server, in addition to loopback.
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default, deserialize_with = "tokens")]
    pub tokens: Vec<TokenConfig>,
    /// Roles of users and groups, for workflows and targets by pattern.
    #[serde(default)]
    pub grants: Vec<GrantConfig>,
    /// The provider that people log in with.
    pub oidc: Option<OidcConfig>,
    /// The CAs (PEM) whose client certificates identify machines; needs TLS.
    pub client_ca: Option<PathBuf>,
    /// How long a browser's session lives without a request [default: 12 hours].
    #[serde(default, deserialize_with = "some_time")]
    pub session_idle: Option<Duration>,
    /// How long a browser's session lives at most [default: 7 days].
    #[serde(default, deserialize_with = "some_time")]
    pub session_limit: Option<Duration>,
    /// How many connections are served at once [default: 512].
    pub max_connections: Option<NonZeroUsize>,
    /// How long a client may take for the head of a request and for its body, and how long it may read nothing of an answer [default: 60 s].
    #[serde(default, deserialize_with = "some_time")]
    pub client_timeout: Option<Duration>,
}

/// Reads a duration of at least one second: less would end every session at once, and cut off distant clients.
fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let given = duration(deserializer)?;
    if given.is_some_and(|given| given < Duration::from_secs(1)) {
        Err(D::Error::custom("it must be at least one second"))
    } else {
        Ok(given)
    }
}

/// Reads tokens: each has a name of its own, and is not the empty text, which a failed command may have digested.
fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TokenConfig>, D::Error> {
    let tokens = Vec::<TokenConfig>::deserialize(deserializer)?;
    let mut names = BTreeSet::new();
    for TokenConfig { name, sha256, .. } in &tokens {
        if name.trim().is_empty() {
            return Err(D::Error::custom("a token needs a name"));
        }
        if !names.insert(name) {
            let message = format!("two tokens have the name `{name}`: give each its own");
            return Err(D::Error::custom(message));
        }
        if *sha256 == Digest::of_content(b"") {
            let message = format!(
                "the sha256 of the token `{name}` is that of an empty text: did the command fail that made the token?"
            );
            return Err(D::Error::custom(message));
        }
    }
    Ok(tokens)
}

/// A token that does not expire, for a person or a machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// The user's name in the journal and in `approvers`.
    pub name: String,
    /// The SHA-256 of the token, as `sha256sum` prints it.
    pub sha256: Digest,
    /// The roles, which hold for all workflows and targets.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The groups, which grants and approvers name as `group:NAME`.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What a user may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Plan, start, resume and cancel.
    Operator,
    /// Approve and reject.
    Approver,
    /// All of it, and undo.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Says whether a user with this role may do what needs the other role.
    pub fn covers(self, needed: Self) -> bool {
        self == Self::Admin || needed == Self::Viewer || self == needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_name_of_its_own_and_is_not_empty() {
        let read = |names: &[&str], sha256: Digest| {
            let tokens = names
                .iter()
                .map(|name| format!("[[tokens]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\n"));
            toml::from_str::<ServeConfig>(&tokens.collect::<String>()).map_err(|e| e.to_string())
        };
        let some = Digest::of_content(b"token");
        assert_eq!(read(&["a", "b"], some).expect("good").tokens.len(), 2);
        for (names, sha256, why) in [
            (&["a", "a"] as &[_], some, "two tokens have the name `a`"),
            (&[" "], some, "needs a name"),
            (&["a"], Digest::of_content(b""), "of an empty text"),
        ] {
            let refused = read(names, sha256).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
        let short = toml::from_str::<ServeConfig>("session_idle = \"0s\"\n");
        assert!(
            short
                .expect_err("too short")
                .to_string()
                .contains("at least one second")
        );
    }

    #[test]
    fn roles_cover_what_they_say() {
        use Role::{Admin, Approver, Operator, Viewer};
        let all = [Viewer, Operator, Approver, Admin];
        for role in all {
            assert!(role.covers(Viewer) && role.covers(role));
            assert!(Admin.covers(role));
            assert_eq!(role.covers(Admin), role == Admin);
        }
        assert!(!Operator.covers(Approver), "who starts does not approve");
        assert!(!Approver.covers(Operator));
    }
}
