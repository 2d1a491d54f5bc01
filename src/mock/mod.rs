//! `windlass http serve`: a small web server whose answers are defined in a file, for trying runbooks without the real systems. It listens
//! on loopback only.
//!
//! - `answer` determines the answers and keeps values, without I/O;
//! - `server` listens.

mod answer;
mod server;

pub use answer::{Answer, Request, Site};
pub use server::{OnAnswer, Server};
