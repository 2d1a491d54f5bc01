//! The clients for the world outside: AWS Private CA, and the run's output folder. Real
//! protocols and real files; no Rhai, no journal, no workflow.
//!
//! Every call answers with a value or a [`crate::value::Failure`], classified here and only here.

mod clients;
mod files;
mod pca;

pub use clients::Clients;
pub use files::{OutputFolder, Snapshot, Written};
pub use pca::{
    AuditReport, Authority, Extension, Issue, NewAuthority, OperationName, Passthrough, PcaClient,
    PcaTarget, Permission, Rate, SignedCertificate, Subject, Validity, actions_of, is_account_wide,
};
