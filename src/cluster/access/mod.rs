//! Authentication and authorization of requests.

mod authenticate;
mod authorize;
mod jwt;

pub(crate) use authenticate::{User, authenticate};
pub(crate) use authorize::{Attributes, may, may_path, rules};
pub(crate) use jwt::{Claims, issue};
