//! Makes texts from scripts, servers and comments safe for a terminal.

use std::borrow::Cow;

/// How much of a text a line shows; the journal and JSON contain all of it.
const MOST_IN_A_LINE: usize = 400;
/// How much an error block shows: its beginning, and a longer part of its end, where a program reports the error.
const BLOCK_BEGINNING: usize = 1000;
const BLOCK_END: usize = 3000;

/// Escapes control characters, line ends and characters that change the direction of writing, for a text within one of our lines: so the text can
/// neither control the terminal nor start a line that looks like ours.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Like [`line`], and cut to the length for a line.
pub fn short_line(text: &str) -> String {
    cut(&line(text), MOST_IN_A_LINE)
}

/// Cuts a text after some characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Replaces what [`line()`] escapes by one sign that can be seen, except line ends and tabs: for pages and messages.
pub fn visible(text: &str) -> String {
    let seen = text.chars().map(|c| match c {
        '\n' | '\t' => c,
        c if is_unseen(c) => '\u{fffd}',
        c => c,
    });
    seen.collect()
}

/// Escapes a whole text for a terminal, except line ends and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// Escapes printed JSON as JSON does: what [`line()`] escapes can only be within its strings, so it says the same.
pub fn json(text: &str) -> Cow<'_, str> {
    if !holds_unseen(text, |c| c == '\n') {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_unseen(c) {
            clean.push(c);
        } else {
            let units = c.encode_utf16(&mut [0; 2]).to_vec();
            clean.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(clean)
}

/// Escapes a text that is drawn with a margin and keeps its line ends; the middle of a long text is left out.
pub fn block(text: &str) -> String {
    let text = escaped(text, |c| c == '\n');
    let count = text.chars().count();
    if count <= BLOCK_BEGINNING + BLOCK_END {
        return text.into_owned();
    }
    let beginning: String = text.chars().take(BLOCK_BEGINNING).collect();
    let end: String = text.chars().skip(count - BLOCK_END).collect();
    format!(
        "{beginning}\n… ({} characters)\n{end}",
        count - BLOCK_BEGINNING - BLOCK_END
    )
}

/// Escapes our own text with colours, which may contain texts of others: keeps line ends, tabs and, if the reader's terminal has them,
/// the colours that this program writes. Where it has none, these are removed: they are not ours, or meant for another stream.
pub fn styled(text: &str, has_colours: bool) -> Cow<'_, str> {
    if !holds_unseen(text, |_| false) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match colour(rest) {
            Some(length) => {
                if has_colours {
                    clean.push_str(&rest[..length]);
                }
                length
            }
            None => {
                clean.push_str(&escaped(&rest[..c.len_utf8()], |c| {
                    matches!(c, '\n' | '\t')
                }));
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Cow::Owned(clean)
}

/// Returns a text of the same length in bytes: each byte of a character that may not be shown becomes a question mark.
pub fn same_length(text: &str) -> Cow<'_, str> {
    let stays = |c: char| matches!(c, '\n' | '\r' | '\t');
    if !holds_unseen(text, stays) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_unseen(c) || stays(c) {
            clean.push(c)
        } else {
            clean.push_str(&"?".repeat(c.len_utf8()))
        }
    }
    Cow::Owned(clean)
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !holds_unseen(text, &stays) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if !stays(c) => clean.push_str("\\n"),
            '\r' => clean.push_str("\\r"),
            '\t' if !stays(c) => clean.push_str("\\t"),
            c if is_unseen(c) && !stays(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Says whether a text contains a character that may not be shown, apart from those that `stays` names.
fn holds_unseen(text: &str, stays: impl Fn(char) -> bool) -> bool {
    // Most texts are printable ASCII, which is faster to check.
    !is_printable_ascii(text) && text.chars().any(|c| is_unseen(c) && !stays(c))
}

/// Says whether a text is printable ASCII: each byte takes one column, and none needs an escape.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Says whether it is a control character, an end of a line or paragraph, a mark or override of direction (UAX #9), or a character without
/// width that makes two names look alike.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns the length of a sequence that sets a colour (ECMA-48, SGR), if it is one of those that this program writes. Others could hide text:
/// black on black, or concealed.
fn colour(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let length = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    let is_ours = |code: &str| {
        // None, bold, dim, underlined; red to cyan; the default.
        matches!(
            code,
            "" | "0" | "1" | "2" | "4" | "31" | "32" | "33" | "34" | "35" | "36" | "39"
        )
    };
    let is_known = rest[length..].starts_with('m') && rest[..length].split(';').all(is_ours);
    is_known.then_some(length + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_json_says_the_same_without_what_could_control_a_terminal() {
        let json = serde_json::json!({ "a\u{9b}": ["\u{202e}x\u{7f}", "tag \u{e0041}", "é✓\n"] });
        let printed = format!("{json:#}\n");
        let safe = super::json(&printed);
        assert!(safe.chars().all(|c| c == '\n' || !is_unseen(c)), "{safe}");
        assert!(safe.contains(r#""\u202ex\u007f""#), "{safe}");
        assert!(safe.contains("é✓"), "{safe}");
        let read: serde_json::Value = serde_json::from_str(&safe).expect("JSON");
        assert_eq!(read, json);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            line("a\u{1b}[2Jb\nc\td\u{202e}e\u{7f}"),
            "a\\u{1b}[2Jb\\nc\\td\\u{202e}e\\u{7f}"
        );
        assert_eq!(line("plain é 漢 🙂"), "plain é 漢 🙂");
        let red = "\u{1b}[31mred\u{1b}[0m\n\u{1b}[2J\r";
        assert_eq!(styled(red, true), "\u{1b}[31mred\u{1b}[0m\n\\u{1b}[2J\\r");
        assert_eq!(styled(red, false), "red\n\\u{1b}[2J\\r");
        let hidden = "a \u{1b}[8mb\u{1b}[30;40m c \u{1b}[38;5;16m";
        assert!(!styled(hidden, true).contains('\u{1b}'));
        assert_eq!(same_length("a\u{1b}[2J\u{202e}b"), "a?[2J???b");
        assert_eq!(block("a\nb\u{9b}"), "a\nb\\u{9b}");
    }
}
