//! The clients for the world outside: AWS Private CA, HTTP servers, programs, and the run's
//! output folder. Real
//! protocols and real files; no Rhai, no journal, no workflow.
//!
//! Every call answers with a value or a [`crate::value::Failure`], classified here and only here.

mod clients;
mod files;
mod http;
mod pca;
mod programs;

pub use clients::Clients;
pub use files::{OutputFolder, Snapshot, Written};
pub use http::{HttpClient, HttpRequest, HttpResponse};
pub use pca::{
    AuditReport, Authority, ConnectError, Extension, Issue, NewAuthority, OperationName,
    Passthrough, PcaClient, PcaTarget, Permission, Rate, SignedCertificate, Subject, Validity,
    actions_of, is_account_wide,
};
pub use programs::{Exited, Invocation, Programs};
