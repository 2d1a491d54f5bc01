//! Reads and checks the file of `windlass http serve`.

mod keys;
mod read;

pub use keys::MOCK_SECTIONS;
pub use read::{Mock, Part, Route, read_mock};
