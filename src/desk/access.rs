use std::net::SocketAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::options::Secured;
use crate::{
    journal::Via,
    runs::Person,
    targets::{Role, TokenConfig},
    value::Digest,
};

/// Somebody who has been authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub person: Person,
    pub roles: Vec<Role>,
}

impl Access {
    pub fn has(&self, needed: Role) -> bool {
        self.roles.iter().any(|role| role.covers(needed))
    }
}

/// Every token that is good. Only digests are kept.
pub struct Tokens {
    known: Vec<Known>,
}

/// A token that is good.
pub struct Known {
    pub name: String,
    pub sha256: Digest,
    pub roles: Vec<Role>,
    is_owner: bool,
}

impl Tokens {
    pub fn new(owner: Option<&Secured>, configured: &[TokenConfig]) -> Self {
        let owner = owner.map(|owner| Known {
            name: owner.name.clone(),
            sha256: Digest::of_content(owner.token.as_bytes()),
            roles: vec![Role::Admin],
            is_owner: true,
        });
        let configured = configured.iter().map(|token| Known {
            name: token.name.clone(),
            sha256: token.sha256,
            roles: token.roles.clone(),
            is_owner: false,
        });
        Self {
            known: owner.into_iter().chain(configured).collect(),
        }
    }

    /// Says whose token it is. Takes as long for a wrong one as for a good one.
    pub fn find(&self, token: &str) -> Option<&Known> {
        self.with_digest(Digest::of_content(token.as_bytes()))
    }

    /// Says whose token has this digest, if it is still good.
    pub fn with_digest(&self, sha256: Digest) -> Option<&Known> {
        let is_equal = |known: &Known| {
            verify_slices_are_equal(known.sha256.as_bytes(), sha256.as_bytes()).is_ok()
        };
        // All are looked at, so the time tells nothing.
        let known = self.known.iter();
        known.fold(None, |found, known| match is_equal(known) {
            true => Some(known),
            false => found,
        })
    }

    /// Returns the token of who started the server.
    pub fn owner(&self) -> Option<&Known> {
        self.known.iter().find(|known| known.is_owner)
    }
}

impl Known {
    /// Says who comes with it, `by` a header or a cookie.
    pub fn access(&self, by: &str, from: SocketAddr) -> Access {
        let token = match self.is_owner {
            true => "the server's token".to_owned(),
            false => format!("token {}", self.name),
        };
        Access {
            person: Person {
                name: self.name.clone(),
                via: Some(Via {
                    how: format!("{token}, {by}"),
                    from: from.ip().to_string(),
                }),
            },
            roles: self.roles.clone(),
        }
    }
}

/// Makes a token that nobody guesses: 32 random bytes in hex.
pub fn random_token() -> Option<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(data_encoding::HEXLOWER.encode(&bytes))
}
