//! The outside of a run: values, certificates and clients, independent of substrates and of the interpreter.
//!
//! # Layout
//!
//! - [`value`] holds the types that all crates share: values, types, secrets, references, failures; and the redactor.
//! - [`x509`] creates local keys and requests, reads certificates and verifies chains, without I/O.
//! - [`outside`] holds the clients of AWS, Kubernetes, HTTP, TLS, files, programs and secret stores.

pub mod outside;
pub mod value;
pub mod x509;
