use std::io::Write;

/// Prints to people, on stderr. A closed one is no reason to stop a rotation, where `eprintln!` would panic.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
