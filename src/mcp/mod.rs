//! `windlass mcp`: tools for assistants, over the Model Context Protocol on standard input and output.
//!
//! - [`Assistant`] implements the protocol;
//! - `tool` has the type of a tool, with its arguments; `look` has the tools that only read, `act` those that start and resume runs, which
//!   must be allowed with an option of the command.
//!
//! There are no tools that approve, answer a question or undo: only people do this.

mod act;
mod assistant;
mod look;
mod tool;

pub use assistant::Assistant;
pub use tool::Permission;
