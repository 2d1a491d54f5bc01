//! The world outside, in words that no substrate and no interpreter is needed for.
//!
//! # Layout
//!
//! - [`value`] holds the types that all crates share: values, secrets, failures, the redactor.
//! - [`x509`] makes local keys and requests and reads certificates, without I/O.
//! - [`outside`] holds the clients of AWS, Kubernetes, HTTP, files and programs.

pub mod outside;
pub mod value;
pub mod x509;
