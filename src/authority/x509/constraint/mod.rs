//! Name constraints (RFC 5280, 4.2.1.10): the names that an authority allows in the certificates below it.
//!
//! - [`form`]: a name of a certificate, read strictly;
//! - [`subtree`]: whether a name is within a base;
//! - [`constraints`]: the extension, and the check of names against it;
//! - [`limits`]: what a whole chain allows below it.
//!
//! AWS enforces five forms of names, and imports no certificate with constraints on others (the user guide's page "Enforcing
//! name constraints on an externally signed private CA"). Where AWS and openssl differ, a name must satisfy both.

mod constraints;
mod form;
mod limits;
mod subtree;

pub(crate) use constraints::{ConstraintError, Constraints};
pub(crate) use form::{alternative, of_certificate};
pub(crate) use limits::{Limits, check_chain};
