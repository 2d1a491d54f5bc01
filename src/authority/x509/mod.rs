//! X.509 in bytes: what is read is kept byte for byte, what is written is DER.
//!
//! - [`der`]: a small DER writer;
//! - [`read`]: a reader for what `x509-parser` does not support, or does not report exactly;
//! - [`oid`]: the object identifiers by name;
//! - [`key`]: key pairs and signatures, by AWS's names;
//! - [`name`] and [`general_name`]: names from the fields of the API;
//! - [`request`]: certificate signing requests, read and created;
//! - [`extension`]: the extensions of a certificate;
//! - [`certificate`]: certificates, created and read;
//! - [`chain`]: whether certificates form a chain;
//! - [`constraint`]: which names a chain allows below it;
//! - [`verify`]: checks signatures;
//! - [`crl`] and [`ocsp`]: the formats in which revocations are published;
//! - [`pem`]: the text around the bytes.
//!
//! The writer is our own rather than rcgen's: an issuer's name must be copied byte for byte, attributes may repeat,
//! criticality follows AWS's templates, and EC keys sign with every digest.

pub(crate) mod certificate;
pub(crate) mod chain;
pub(crate) mod constraint;
pub(crate) mod crl;
pub(crate) mod der;
pub(crate) mod extension;
pub(crate) mod general_name;
pub(crate) mod key;
pub(crate) mod name;
pub(crate) mod ocsp;
pub(crate) mod oid;
pub(crate) mod pem;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod verify;
