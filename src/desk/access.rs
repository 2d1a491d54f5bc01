use std::net::SocketAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{answer::Problem, options::Secured};
use windlass_ground::random_bytes;
use windlass_journal::Via;
use windlass_runs::{Listed, Person, RunsError, Shown};
use windlass_targets::{GrantConfig, Role, Scope, TokenConfig};
use windlass_world::value::Digest;

/// An authenticated client (a person or a program) and its roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub person: Person,
    /// Roles for all workflows and targets.
    pub roles: Vec<Role>,
    /// Roles for some workflows or targets.
    pub granted: Vec<Granted>,
}

/// A role for some workflows and targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub role: Role,
    pub scope: Scope,
}

/// Who a client is, according to its token, the OpenID Connect provider or its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub groups: Vec<String>,
    /// What authenticated the client, for the journal: `token ci`.
    pub how: String,
    /// The roles of the token itself, for all workflows and targets.
    pub roles: Vec<Role>,
}

impl Identity {
    /// Adds the roles that `grants` give to this identity. `by` is how the client sent its proof: `header`, `browser` or `TLS`.
    pub fn access(&self, grants: &[GrantConfig], by: &str, from: SocketAddr) -> Access {
        let (mut roles, mut granted) = (self.roles.clone(), Vec::new());
        let given = grants
            .iter()
            .filter(|grant| grant.is_to(&self.name, &self.groups));
        for grant in given {
            let scope = grant.scope();
            if scope.is_all() {
                roles.extend(&grant.roles)
            } else {
                granted.extend(grant.roles.iter().map(|role| Granted {
                    role: *role,
                    scope: scope.clone(),
                }))
            }
        }
        roles.sort();
        roles.dedup();
        Access {
            person: Person {
                name: self.name.clone(),
                via: Some(Via {
                    how: format!("{}, {by}", self.how),
                    from: from.ip().to_string(),
                    groups: self.groups.clone(),
                }),
            },
            roles,
            granted,
        }
    }
}

impl Access {
    /// Returns whether the client has a role for at least one workflow on at least one target.
    pub fn has(&self, needed: Role) -> bool {
        let mut granted = self.granted.iter();
        self.has_everywhere(needed) || granted.any(|granted| granted.role.covers(needed))
    }

    /// Returns whether the client has a role for all workflows on all targets.
    pub fn has_everywhere(&self, needed: Role) -> bool {
        self.roles.iter().any(|role| role.covers(needed))
    }

    /// Returns whether the client has a role for a workflow on a target.
    pub fn has_on(&self, needed: Role, workflow: &str, target: &str) -> bool {
        let mut granted = self.granted.iter();
        self.has_everywhere(needed)
            || granted
                .any(|granted| granted.role.covers(needed) && granted.scope.holds(workflow, target))
    }

    /// Returns whether the client has a role for a workflow on at least one target.
    pub fn has_for(&self, needed: Role, workflow: &str) -> bool {
        let mut granted = self.granted.iter();
        self.has_everywhere(needed)
            || granted.any(|one| one.role.covers(needed) && one.scope.holds_workflow(workflow))
    }

    /// Returns whether the client has a role for at least one workflow on a target.
    pub fn has_at(&self, needed: Role, target: &str) -> bool {
        let mut granted = self.granted.iter();
        self.has_everywhere(needed)
            || granted.any(|one| one.role.covers(needed) && one.scope.holds_target(target))
    }

    /// Returns whether the client may see a workflow in a list. A workflow that can't be compiled has no known name, so it needs the
    /// role for all workflows.
    pub fn sees_listed(&self, listed: &Listed) -> bool {
        match &listed.program {
            Ok(program) => self.has_for(Role::Viewer, &program.workflow.name),
            Err(_) => self.has_everywhere(Role::Viewer),
        }
    }

    /// Returns whether the client may run any scripts on a target. Files that a client sends can have any workflow name, so only the
    /// role `admin` for all workflows counts.
    pub fn may_send(&self, target: &str) -> bool {
        let mut granted = self.granted.iter();
        self.has_everywhere(Role::Admin)
            || granted.any(|Granted { role, scope }| {
                role.covers(Role::Admin) && scope.workflows.is_none() && scope.holds_target(target)
            })
    }

    /// Returns the workflows and targets whose runs the client may see; `None` means all.
    pub fn sees(&self) -> Option<Vec<Scope>> {
        let scopes = self.granted.iter().map(|granted| granted.scope.clone());
        (!self.has_everywhere(Role::Viewer)).then(|| scopes.collect())
    }

    /// Checks that the client has a role for a workflow on a target.
    ///
    /// # Errors
    /// Returns which role is missing, and for what.
    pub fn need(&self, needed: Role, workflow: &str, target: &str) -> Result<(), Problem> {
        if self.has_on(needed, workflow, target) {
            Ok(())
        } else {
            Err(Problem::denied_on(self, needed, workflow, target))
        }
    }

    /// Checks that the client has a role for a run. A client that may not see the run learns only that it was not found.
    ///
    /// # Errors
    /// Returns which role is missing, or that there is no such run.
    pub fn need_of(&self, needed: Role, run: &Shown) -> Result<(), Problem> {
        let info = &run.info;
        if self.has_on(Role::Viewer, &info.workflow, &info.target) {
            self.need(needed, &info.workflow, &info.target)
        } else {
            Err(RunsError::no_run(&run.id).into())
        }
    }

    /// Lists the client's roles: `viewer, operator (workflows gloo-*)`.
    pub fn describe(&self) -> String {
        let roles = self.roles.iter().map(|role| role.as_str().to_owned());
        let granted = self.granted.iter();
        let granted = granted.map(|Granted { role, scope }| format!("{role} ({scope})"));
        let all: Vec<_> = roles.chain(granted).collect();
        if all.is_empty() {
            "no role".to_owned()
        } else {
            all.join(", ")
        }
    }

    /// Returns a digest of the client's name and roles. A session ends when this digest changes.
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.person.name.as_bytes(), self.describe().as_bytes()])
    }
}

/// All valid tokens. Only their digests are kept.
pub struct Tokens {
    known: Vec<Known>,
}

/// A valid token.
pub struct Known {
    pub name: String,
    pub sha256: Digest,
    pub roles: Vec<Role>,
    pub groups: Vec<String>,
    is_owner: bool,
}

impl Tokens {
    pub fn new(owner: Option<&Secured>, configured: &[TokenConfig]) -> Self {
        let owner = owner.map(|owner| Known {
            name: owner.name.clone(),
            sha256: Digest::of_content(owner.token.as_bytes()),
            roles: vec![Role::Admin],
            groups: Vec::new(),
            is_owner: true,
        });
        let configured = configured.iter().map(|token| Known {
            name: token.name.clone(),
            sha256: token.sha256,
            roles: token.roles.clone(),
            groups: token.groups.clone(),
            is_owner: false,
        });
        Self {
            known: owner.into_iter().chain(configured).collect(),
        }
    }

    /// Finds a token. This takes the same time for wrong tokens and valid ones; an empty one is none.
    pub fn find(&self, token: &str) -> Option<&Known> {
        if token.is_empty() {
            return None;
        }
        self.with_digest(Digest::of_content(token.as_bytes()))
    }

    /// Finds the token that has this digest; `None` if it is no longer valid.
    pub fn with_digest(&self, sha256: Digest) -> Option<&Known> {
        let is_equal = |known: &Known| {
            verify_slices_are_equal(known.sha256.as_bytes(), sha256.as_bytes()).is_ok()
        };
        // All tokens are compared, so that the time taken does not show which one matched.
        let known = self.known.iter();
        known.fold(
            None,
            |found, known| if is_equal(known) { Some(known) } else { found },
        )
    }

    /// Returns the token of the person who started the server.
    pub fn owner(&self) -> Option<&Known> {
        self.known.iter().find(|known| known.is_owner)
    }
}

impl Known {
    /// Returns the identity of the token's holder.
    pub fn identity(&self) -> Identity {
        Identity {
            name: self.name.clone(),
            groups: self.groups.clone(),
            how: if self.is_owner {
                "the server's token".to_owned()
            } else {
                format!("token {}", self.name)
            },
            roles: self.roles.clone(),
        }
    }
}

/// Creates a token of 32 random bytes, in hex. Returns `None` if the system has no randomness.
pub fn random_token() -> Option<String> {
    let mut bytes = [0; 32];
    random_bytes(&mut bytes).ok()?;
    Some(data_encoding::HEXLOWER.encode(&bytes))
}
