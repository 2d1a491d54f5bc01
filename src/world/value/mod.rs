//! The types that all crates share: a [`Value`] that is passed between steps, the [`Secret`], which makes everything derived from it
//! secret, and the [`Type`] that an author declares for a value.
//!
//! This module depends on no other.

mod bytes;
mod causes;
mod command;
mod digest;
mod duration;
mod failure;
mod glob;
mod json;
mod redact;
mod reference;
mod secret;
mod toml;
mod types;
#[expect(
    clippy::module_inception,
    reason = "the module is named for its main type"
)]
mod value;
mod yaml;

pub use bytes::Bytes;
pub(crate) use causes::chain;
pub use causes::{causes, inner_causes};
pub use command::Command;
pub use digest::Digest;
pub use duration::{ParseDurationError, format_duration, parse_duration};
pub use failure::{Failure, FailureClass, Place, Proof, StepError, brief, one_line};
pub use glob::matches_glob;
pub use redact::{LEAST_CUT, LEAST_ENCODED, LEAST_LINE, LEAST_WHOLE, LEAST_WORD, Redactor};
pub use reference::{Given, NoReference, Reference, Source};
pub use secret::{MASK, NotText, Secret, holds_mask};
pub use types::{ParseTypeError, Type, TypeMismatch};
pub use value::{OnlyNamed, TooDeep, Value};
