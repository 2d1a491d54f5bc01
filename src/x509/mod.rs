//! Local X.509 work: keys, certificate signing requests, and reading certificates. No I/O.
//!
//! - [`pem`] is the one reader of PEM in the program, but for the embedded CA's, which is as strict as AWS;
//! - [`Subject`] and [`AlternativeNames`] hold only what a certificate can hold.

mod alternative;
mod certificate;
mod csr;
mod key;
mod name;
pub mod pem;
mod private_key;
mod subject;

pub use alternative::{AlternativeNames, NameError, NameKind};
pub use certificate::{Certificate, ReadError};
pub use csr::{CsrError, CsrRequest};
pub use key::KeyAlgorithm;
pub use private_key::{KeyError, PrivateKey};
pub use subject::{Subject, SubjectError};
