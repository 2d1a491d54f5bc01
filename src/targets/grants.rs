use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::serve::Role;
use windlass_world::value::matches_glob;

/// The prefix that marks a name in a list of people as a group.
pub const GROUP: &str = "group:";

/// Roles that are given to users and groups in `windlass.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { to = [\"group:pki\"], roles = [\"operator\"], workflows = [\"gloo-*\"] }"
)]
pub struct GrantConfig {
    /// Names of users, and groups as `group:NAME`.
    pub to: Vec<String>,
    pub roles: Vec<Role>,
    /// As in [`Scope`].
    #[serde(default)]
    workflows: Option<Vec<Pattern>>,
    #[serde(default)]
    targets: Option<Vec<Pattern>>,
}

/// A set of workflows and targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The names inside the workflow files; all if it is left out.
    pub workflows: Option<Vec<Pattern>>,
    /// The names of targets; all if it is left out.
    pub targets: Option<Vec<Pattern>>,
}

/// A name in which each `*` matches any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl GrantConfig {
    /// Says whether the grant is for a user with this name and these groups.
    pub fn is_to(&self, name: &str, groups: &[String]) -> bool {
        self.to.iter().any(|to| match to.strip_prefix(GROUP) {
            Some(group) => groups.iter().any(|known| known == group),
            None => to == name,
        })
    }

    /// Returns the workflows and targets of the grant.
    pub fn scope(&self) -> Scope {
        Scope {
            workflows: self.workflows.clone(),
            targets: self.targets.clone(),
        }
    }
}

impl Scope {
    pub fn holds(&self, workflow: &str, target: &str) -> bool {
        self.holds_workflow(workflow) && self.holds_target(target)
    }

    pub fn holds_workflow(&self, name: &str) -> bool {
        holds(&self.workflows, name)
    }

    pub fn holds_target(&self, name: &str) -> bool {
        holds(&self.targets, name)
    }

    /// Says whether it includes every workflow and target.
    pub fn is_all(&self) -> bool {
        self.workflows.is_none() && self.targets.is_none()
    }
}

fn holds(patterns: &Option<Vec<Pattern>>, name: &str) -> bool {
    let any = |patterns: &Vec<Pattern>| patterns.iter().any(|pattern| pattern.takes(name));
    patterns.as_ref().is_none_or(any)
}

/// Shows it as `workflows gloo-*, dev-* on all targets`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |patterns: &Option<Vec<Pattern>>| match patterns {
            None => None,
            Some(patterns) => {
                let names: Vec<_> = patterns.iter().map(|pattern| pattern.0.as_str()).collect();
                Some(names.join(", "))
            }
        };
        match (list(&self.workflows), list(&self.targets)) {
            (None, None) => write!(f, "everything"),
            (Some(workflows), None) => write!(f, "workflows {workflows}"),
            (None, Some(targets)) => write!(f, "targets {targets}"),
            (Some(workflows), Some(targets)) => {
                write!(f, "workflows {workflows} on targets {targets}")
            }
        }
    }
}

impl Pattern {
    /// Parses a pattern; returns `None` for an empty one, which matches no name.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Says whether the pattern matches a name.
    pub fn takes(&self, name: &str) -> bool {
        matches_glob(&self.0.split('*').collect::<Vec<_>>(), name)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("an empty pattern matches no name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let takes = |pattern: &str, name: &str| Pattern::parse(pattern).expect("one").takes(name);
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("gloo-*", "gloo-mesh"),
            ("gloo-*", "gloo-"),
            ("*-mesh", "gloo-mesh"),
            ("g*m*h", "gloo-mesh"),
            ("a*a", "aba"),
            ("prod", "prod"),
            ("**", "x"),
        ] {
            assert!(takes(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("gloo-*", "gloo"),
            ("gloo-*", "x-gloo-mesh"),
            ("prod", "production"),
            ("prod", "Prod"),
            ("*-mesh", "gloo-mesh-2"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("pr?d", "prod"),
        ] {
            assert!(!takes(pattern, name), "{pattern} {name}");
        }
        assert!(Pattern::parse("").is_none());
    }

    #[test]
    fn a_grant_is_to_users_and_groups() {
        let grant: GrantConfig = toml::from_str(
            "to = [\"alice\", \"group:pki\"]\nroles = [\"operator\"]\nworkflows = [\"gloo-*\"]",
        )
        .expect("readable");
        assert!(grant.is_to("alice", &[]));
        assert!(grant.is_to("bob", &["pki".into()]));
        assert!(!grant.is_to("pki", &[]), "a user is no group");
        assert!(!grant.is_to("bob", &["alice".into()]), "a group is no user");
        assert!(!grant.is_to("group:pki", &[]));
        let scope = grant.scope();
        assert!(scope.holds("gloo-mesh", "prod") && !scope.holds("x", "prod"));
        let none = Scope {
            workflows: Some(Vec::new()),
            targets: None,
        };
        assert!(!none.holds("x", "y"), "an empty list takes nothing");
        let wrong = "to = []\nroles = []\nworkflow = []";
        assert!(toml::from_str::<GrantConfig>(wrong).is_err());
    }
}
