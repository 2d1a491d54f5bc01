use std::io::Write;

use super::plain::styled;

/// Prints to people, on stderr: colours, and nothing else that steers a terminal. A closed one is no reason to stop a rotation, where `eprintln!` would panic.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(styled(text).as_bytes());
}
