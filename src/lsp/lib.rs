//! The language server, for workflows (YAML with `${{ }}` expressions) and scripts (Rhai), as they stand in the editor.
//!
//! # Layout
//!
//! - [`serve`] implements the protocol over standard input and output: `server` is the loop, `answers` answers requests
//!   about places, `capabilities` are those of both sides, `text` and `uri` convert places and paths;
//! - `files` are the open documents, and the disk for all others; `compile` reads through its `Overlay`, so that unsaved
//!   files are checked with everything that they use;
//! - `diagnostics` are the mistakes that `compile` reports, and no others; `fixes` are hints that are replacements;
//! - `yaml`, `workflow` and `script` (over the `lexer` of the crate `script`) are outlines of texts that need not be
//!   valid: completion, hover, definitions and renames use only these while a user types. They never report mistakes;
//! - `marks` are the names in a file, and the symbols that they stand for in any file, for definitions, references,
//!   renames and hovers (`rename`, `hover`, `describe`); `symbols` are the parts of a file;
//! - `place` and `spot` find the key or argument that the user is typing; `complete` lists the possible completions, from
//!   the inputs of a step (`signature`) and the `values` of an argument; `pages` is the documentation in the program.
//!
//! One thread owns all data and answers messages in order, so no answer is about an outdated text. Diagnostics are
//! computed when no message waits: if ten keys are typed quickly, only the last text is checked.

mod answers;
mod capabilities;
mod complete;
mod describe;
mod diagnostics;
mod files;
mod fixes;
mod hover;
mod marks;
mod pages;
mod place;
mod rename;
mod script;
mod server;
mod signature;
mod spot;
mod symbols;
mod text;
mod uri;
mod values;
mod workflow;
mod yaml;

pub use pages::Pages;
pub use server::{Ended, ServeError, serve};
