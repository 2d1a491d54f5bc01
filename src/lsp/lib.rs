//! The language server, for workflows (YAML with `${{ }}` expressions) and scripts (Rhai), as they stand in the editor.
//!
//! - [`serve`] speaks the protocol over standard input and output: `server` is the loop, `answers` what is asked about
//!   places, `capabilities` what the two sides can do;
//! - `files` are the open documents, and the disk for all others; its `Overlay` is what `compile` reads through, so
//!   that unsaved files are checked with all that they use;
//! - `diagnostics` are what `compile` says, and nothing else; `fixes` are its hints that are replacements;
//! - `yaml`, `lexer`, `workflow` and `script` are outlines of texts that need not be valid: all that completion, hover,
//!   definitions and renames know while a user types. They never judge a file. The mutants of `windlass test` are cut
//!   along the same tokens;
//! - `marks` are the names in a file with what each stands for, in whichever file: definitions, references, renames and
//!   hovers are looked up in them (`rename`, `hover`, `describe`);
//! - `place` and `spot` find the key or argument that the user is typing; `complete` lists what may stand there.
//!
//! One thread owns all of it and answers in the order of the messages, so no answer is about a text that is gone.
//! Diagnostics are worked out when no message waits: of ten keys typed at once, the last text is checked.

mod answers;
mod capabilities;
mod complete;
mod describe;
mod diagnostics;
mod files;
mod fixes;
mod hover;
pub mod lexer;
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
