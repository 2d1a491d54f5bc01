//! Patches of objects, and the ownership of fields.
//!
//! `patch` reads the four kinds of patches and applies the two simple ones; `strategic` merges with the merge keys of
//! built-in kinds. `apply` is server-side apply: it merges a manager's configuration, removes the fields that the manager no
//! longer applies, and refuses changes to fields that others own. `fields` is a set of fields, `managed` the record of such
//! sets in `metadata.managedFields`, and `compare` finds the fields that a change sets and removes.

mod apply;
mod compare;
mod fields;
mod managed;
mod patch;
mod strategic;

pub(crate) use apply::apply;
pub(crate) use managed::{Manager, track, without_times};
pub(crate) use patch::{PatchKind, json_patch, merge_patch};
pub(crate) use strategic::strategic;
