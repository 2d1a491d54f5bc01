//! Name constraints (RFC 5280, 4.2.1.10): which names an authority leaves to the certificates below it.
//!
//! - [`form`]: one name of a certificate, read strictly;
//! - [`subtree`]: whether a name lies within one base;
//! - [`constraints`]: the extension, and names against it;
//! - [`limits`]: what a whole chain allows below it.
//!
//! AWS enforces five forms of name and imports no certificate that constrains others (the user guide's page
//! "Enforcing name constraints on an externally signed private CA"). Where it and openssl differ, both must agree.

mod constraints;
mod form;
mod limits;
mod subtree;

pub(crate) use constraints::{ConstraintError, Constraints};
pub(crate) use form::{alternative, of_certificate};
pub(crate) use limits::{Limits, check_chain};
