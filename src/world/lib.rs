//! The outside of a run: values, certificates and clients, independent of substrates and of the interpreter.
//!
//! # Layout
//!
//! - [`value`] holds the types that all crates share: values, secrets, failures, the redactor.
//! - [`x509`] creates local keys and requests and reads certificates, without I/O.
//! - [`outside`] holds the clients of AWS, Kubernetes, HTTP, files and programs.

pub mod outside;
pub mod value;
pub mod x509;
