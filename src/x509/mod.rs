//! Local X.509 work: keys, certificate signing requests, and reading certificates. No I/O.

mod certificate;
mod csr;
mod key;

pub use certificate::{Certificate, ReadError};
pub use csr::{CsrError, CsrRequest};
pub use key::{KeyAlgorithm, KeyError};
