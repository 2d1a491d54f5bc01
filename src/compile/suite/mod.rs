//! Reads a test file, and checks it against the workflow that it tests.
//!
//! - `keys` describes the keys of the file;
//! - `read` reads them, `given` the answers of the outside, `before` the runs that come first,
//!   `expect` what a test expects, `certificate` what it expects of certificates and handshakes;
//! - `answer` checks an answer against the function's result, and completes it.

mod answer;
mod before;
mod certificate;
mod expect;
mod given;
mod keys;
mod read;

use std::path::Path;

pub use answer::answer_of;
pub use before::{Before, FromBefore};
pub use certificate::{
    CertificatePlace, ExpectedCertificate, ExpectedFailure, ExpectedHandshakes, WantedCertificate,
    WantedVerdict,
};
pub use expect::{Calls, Expect, ExpectedCall};
pub use given::{Given, Reply, takes};
pub use keys::SUITE_SECTIONS;
pub use read::{Case, Kill, Library, QuestionEnd, Suite, read_played, read_suite};

/// The endings of the names of test files.
const ENDINGS: [&str; 2] = [".test.yaml", ".test.yml"];

/// Says whether a file is a test file by its name.
pub fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
