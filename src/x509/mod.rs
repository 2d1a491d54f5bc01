//! Local X.509 work: keys, certificate signing requests, reading certificates, signatures and timestamps of
//! evidence. No I/O.

mod certificate;
mod csr;
mod key;
mod signature;
mod timestamp;

pub use certificate::{Certificate, ReadError};
pub use csr::{CsrError, CsrRequest};
pub use key::{KeyAlgorithm, KeyError};
pub use signature::{SignError, Signature, public_key, sign};
pub use timestamp::{Timestamp, TimestampError, TimestampRequest};
