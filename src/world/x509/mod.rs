//! Local X.509 work: keys, certificate signing requests, reading certificates, signatures and timestamps of
//! evidence. No I/O, except that [`read_identity`] reads the certificate and key of a server from their files.
//!
//! - [`pem`] is the only reader of PEM in the program, besides the embedded CA's, which is as strict as AWS;
//! - [`holding`] finds certificates in files, values and Kubernetes objects;
//! - [`Verification`] checks whether a certificate leads to a root;
//! - [`Subject`] and [`AlternativeNames`] contain only what a certificate can contain.

mod alternative;
mod certificate;
mod csr;
pub mod holding;
mod identity;
mod key;
mod name;
pub mod pem;
mod private_key;
mod signature;
mod signed_data;
mod subject;
mod timestamp;
mod verify;

pub use alternative::{AlternativeNames, NameError, NameKind};
pub use certificate::{Certificate, ReadError};
pub use csr::{CsrError, CsrRequest, EXTENDED_KEY_USAGES, KEY_USAGES};
pub use identity::read_identity;
pub use key::KeyAlgorithm;
pub use private_key::{KeyError, PrivateKey};
pub use signature::{SignError, Signature, public_key, sign};
pub use signed_data::SignerError;
pub use subject::{Subject, SubjectError};
pub use timestamp::{Stamped, TimestampError, TimestampRequest, TimestampToken};
pub use verify::{BadInput, BadName, PeerName, Purpose, Verdict, Verification};
