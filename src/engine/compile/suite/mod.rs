//! A test file, read and held against the workflow that it tests.
//!
//! - `keys` describes the keys of the file;
//! - `read` reads them, `given` the answers of the outside, `before` the runs that come first,
//!   `expect` what a test expects, `certificate` of certificates and handshakes;
//! - `answer` holds an answer against what the function gives, and completes it.

mod answer;
mod before;
mod certificate;
mod expect;
mod given;
mod keys;
mod read;

pub use answer::{answer_of, reversed};
pub use before::{Before, FromBefore};
pub use certificate::{
    CertificatePlace, ExpectedCertificate, ExpectedFailure, ExpectedHandshakes, WantedCertificate,
    WantedVerdict,
};
pub use expect::{Calls, Expect, ExpectedCall};
pub use given::{Given, Reply, takes};
pub use keys::SUITE_SECTIONS;
pub use read::{Approver, Case, Kill, Library, Suite, read_played, read_suite};
