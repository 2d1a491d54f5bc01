//! Compiles the model's patterns into regular expressions.

use regex::Regex;

/// Compiles a pattern that must match the whole text. Returns `None` if it is not valid.
///
/// The expressions do not use Unicode tables. If a pattern allows letters, separators and numbers of any script (tags),
/// every character beyond ASCII is accepted except control characters, and those of ASCII are listed. `\w` occurs only in
/// classes, and means ASCII as in Java.
pub(crate) fn compile(pattern: &str) -> Option<Regex> {
    let ascii = pattern
        .replace(r"\p{L}", r"A-Za-z\u{a1}-\u{10ffff}")
        .replace(r"\p{Z}", r" \u{a0}")
        .replace(r"\p{N}", "0-9")
        .replace(r"\w", "0-9A-Za-z_");
    Regex::new(&format!("^(?:{})$", four_digit_escapes(&ascii))).ok()
}

/// Replaces `\u0020` by `\u{0020}`, which every dialect supports.
fn four_digit_escapes(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(r"\u") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        match escape.get(2..6) {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                out.push_str(&format!(r"\u{{{digits}}}"));
                rest = &escape[6..];
            }
            _ => {
                out.push_str(r"\u");
                rest = &escape[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        let tag = compile(r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)").unwrap();
        assert!(tag.is_match("Größe = 5 µm/@a-b"));
        assert!(!tag.is_match("a\tb"));
        assert!(!tag.is_match("a;b"));
        let token = compile(r"[\u0009\u000A\u000D\u0020-\u00FF]*").unwrap();
        assert!(token.is_match("a b\n\u{fe}"));
        assert!(!token.is_match("\u{100}"));
        assert!(!compile("[0-9]+").unwrap().is_match("12\n"));
    }
}
