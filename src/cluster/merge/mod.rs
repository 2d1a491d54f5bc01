//! Changes to objects, and who owns which field.
//!
//! `patch` reads the four kinds of patches and does the two simple ones; `strategic` merges by the merge keys of
//! built-in kinds. `apply` is server-side apply: it merges a manager's configuration, prunes what the manager no
//! longer says, and refuses what others own; `fields` is the set of fields it counts in, `managed` the record of
//! such sets in `metadata.managedFields`, and `compare` finds what a change changed.

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
