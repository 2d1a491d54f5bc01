//! X.509 as bytes: what is read is kept exactly as it was written, what is written is DER.
//!
//! - [`der`]: a small DER writer;
//! - [`read`]: a reader for what `x509-parser` doesn't know, or doesn't tell faithfully;
//! - [`oid`]: the object identifiers by name;
//! - [`key`]: key pairs and signatures, by AWS's names;
//! - [`name`] and [`general_name`]: names from the API's fields;
//! - [`request`]: certificate signing requests, read and made;
//! - [`extension`]: the extensions of a certificate;
//! - [`certificate`]: certificates, made and read;
//! - [`chain`]: whether one certificate was really issued by another;
//! - [`constraint`]: which names a chain allows below it;
//! - [`verify`]: whether a signature is right;
//! - [`crl`] and [`ocsp`]: how revocations are published;
//! - [`pem`]: the text around the bytes.
//!
//! The writer is our own, not rcgen's: an issuer's name must be copied byte for byte, attributes may repeat,
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
