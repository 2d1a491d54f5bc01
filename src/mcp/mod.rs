//! The runs as tools for assistants, by the Model Context Protocol over standard input and output.
//!
//! - [`Assistant`] answers the protocol;
//! - `tool` is a row of the table of tools, with the schema of what it takes; `look` are those that change nothing, `act` those
//!   that start and resume runs, which the person who starts the server has to allow.
//!
//! There is no tool that approves, answers a question or undoes: that is for people.

mod act;
mod assistant;
mod look;
mod tool;

pub use assistant::Assistant;
pub use tool::Permission;
