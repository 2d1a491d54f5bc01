//! A file of `windlass http serve`, read and checked.

mod keys;
mod read;

pub use keys::MOCK_SECTIONS;
pub use read::{Mock, Part, Route, read_mock};
