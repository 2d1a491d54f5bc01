//! The schemas of objects: which fields exist, and how lists and maps are merged.
//!
//! Built-in kinds have the schemas of the `k8s-openapi` crate. They come from the API server's own OpenAPI document, which
//! lacks the merge rules; `hints` adds those. Custom resources have the schema of their definition.

mod built_in;
mod decode;
mod format;
mod hints;
mod path;
mod shape;
mod validate;

pub(crate) use built_in::{definition_name, document};
pub(crate) use decode::{Decoded, Strictness, decode};
pub(crate) use path::Path;
pub(crate) use shape::{ListRule, Schema};
pub(crate) use validate::check_custom;
