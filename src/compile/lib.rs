//! Compiles files into a checked [`Program`], or returns every mistake at once.
//!
//! The stages of a file: [`Sources`] returns its text, `document` parses YAML with places, `draft` reads the keys, [`Template`]s
//! and expressions (`align` finds their places), `link` loads scripts and nested workflows, `check` checks inputs against types,
//! `reads` finds the edges, `cycle` rejects cycles, and the result is a [`Workflow`]: a graph without cycles, unknown steps and
//! scripts that do not parse.

mod align;
mod approval;
mod assemble;

mod check;
mod clusters;
mod cycle;
mod document;
mod draft;
mod fields;
mod graph;
mod head;
mod keys;
mod known;
mod limits;
mod link;
mod mistake;
mod mock;
mod mutate;
mod name;
mod param;
mod params;
mod phase;
mod reads;
mod retry;
mod schedule;
mod source;
mod suite;
mod template;
mod trial;
mod trigger;

pub use approval::{GROUP, MAX_QUESTION, is_nobody};
pub use clusters::{ClustersError, clusters};
pub use document::parse_value;
pub use draft::MAX_NAME;
pub use graph::{
    Action, Approval, Edge, OnError, OnFailure, OnTimeout, Param, Phase, Program, Retry, RetryOn,
    Step, StepIndex, Workflow,
};
pub use head::declares_workflow;
pub use keys::{FileKey, Form, SECTIONS, Section};
pub use limits::Limits;
pub use link::{compile, digest_of};
pub use mistake::{Mistake, Mistakes};
pub use mock::{MOCK_SECTIONS, Mock, Part, Route, read_mock};
pub use mutate::{Alterable, alterable};
pub use name::StepName;
pub use params::{
    ParamError, ParamErrors, bind_params, parse_argument, parse_params, refer_params, refuse_nulls,
};
pub use schedule::{Schedule, ScheduleError};
pub use source::{
    Folder, Frozen, InMemory, MAX_FILE_BYTES, Opened, STDIN, Sources, is_stdin, open, read_named,
};
pub use suite::{
    Before, Calls, Case, CertificatePlace, Expect, ExpectedCall, ExpectedCertificate,
    ExpectedFailure, ExpectedHandshakes, FromBefore, Given, Kill, Library, QuestionEnd, Reply,
    SUITE_SECTIONS, Suite, WantedCertificate, WantedVerdict, answer_of, is_test, read_played,
    read_suite, takes,
};
pub use template::Template;
pub use trial::{TrialError, compile_script};
pub use trigger::{CatchUp, Occasion, Trigger};

/// Returns the keys of all files that people write, workflows first.
pub fn all_sections() -> impl Iterator<Item = &'static Section> {
    let others = SUITE_SECTIONS.iter().chain(&MOCK_SECTIONS);
    SECTIONS.iter().chain(others).copied()
}
