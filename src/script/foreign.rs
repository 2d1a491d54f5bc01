//! Hints for words and signs of other languages, where a script or an expression does not parse.

use std::ops::Range;

use rhai::ParseErrorType;

use super::host;

/// What Rhai has for words of other languages.
const WORDS: [(&[&str], &str); 13] = [
    (
        &["null", "NULL", "nil", "None", "none", "undefined"],
        "write `()` for no value",
    ),
    (&["True", "TRUE"], "write `true`"),
    (&["False", "FALSE"], "write `false`"),
    (&["elif", "elseif", "elsif"], "write `else if`"),
    (&["and"], "write `&&`"),
    (&["or"], "write `||`"),
    (&["not"], "write `!`, as in `!x`"),
    (&["var"], "write `let`"),
    (&["def", "func", "function"], "write `fn`"),
    (&["foreach"], "write `for x in list { … }`"),
    (&["unless"], "write `if !(…) { … }`"),
    (&["match"], "write `switch x { 1 => …, _ => … }`"),
    (&["raise"], "write `throw`"),
];

/// How a map begins, of which other languages write `{ a: 1 }`.
const MAP: &str = "a map begins with `#{`: `#{ name: value }`";

/// Returns what to write instead of a word or a sign of another language, which a parser refused at this place.
pub(super) fn hint(text: &str, at: &Range<usize>, error: &ParseErrorType) -> Option<String> {
    let found = text.get(at.clone())?;
    let (before, after) = (text[..at.start].trim_end(), &text[at.end..]);
    let next = after.trim_start();
    let begins_block = |before: &str| before.ends_with('{') && !before.ends_with("#{");
    match error {
        ParseErrorType::VariableUndefined(_)
            if begins_block(before) && next.starts_with(':') && !next.starts_with("::") =>
        {
            return Some(MAP.to_owned());
        }
        ParseErrorType::VariableUndefined(_)
            if found.len() == 1 && after.starts_with(['"', '\'', '`']) =>
        {
            return Some("write the text in backticks: `` `hello ${name}` ``".to_owned());
        }
        ParseErrorType::VariableUndefined(_)
            if next.starts_with('.') && host::modules().iter().any(|(name, _)| *name == found) =>
        {
            return Some(format!(
                "write `{found}::`: a function of a module has `::` before its name"
            ));
        }
        ParseErrorType::VariableUndefined(_) if next.starts_with("=>") => {
            return Some("write a function as `|x| x + 1`".to_owned());
        }
        ParseErrorType::VariableUndefined(_)
            if next.starts_with(":=") || next.starts_with('=') && !next.starts_with("==") =>
        {
            return Some(format!("to define a variable, write `let {found} = …`"));
        }
        ParseErrorType::MissingToken(..) if found == ":" && is_key(before, begins_block) => {
            return Some(MAP.to_owned());
        }
        ParseErrorType::MissingToken(..) if found == ":" && is_declared(before) => {
            return Some("a variable has no type: write `let name = value`".to_owned());
        }
        ParseErrorType::MissingToken(token, _)
            if token == "{" && matches!(found, "then" | "do") =>
        {
            return Some("write the block in braces: `if x { … }`".to_owned());
        }
        _ => {}
    }
    let is_sign = |sign: &str| text[at.start..].starts_with(sign);
    if matches!(error, ParseErrorType::UnknownOperator(_)) || !is_word(found) {
        return match found {
            _ if is_sign("++") => Some("write `x += 1`; to join texts, `+`".to_owned()),
            _ if is_sign("--") => Some("write `x -= 1`".to_owned()),
            _ if is_sign("?") => Some("write `if x { a } else { b }`, which is a value".to_owned()),
            _ => None,
        };
    }
    // A name that is one of these words is not meant as such.
    let is_name = before.ends_with(['.', '#'])
        || next.starts_with(':')
        || ["let", "const", "fn"]
            .iter()
            .any(|word| before.ends_with(word));
    if is_name {
        return None;
    }
    let known = WORDS.iter().find(|(words, _)| words.contains(&found));
    known.map(|(_, hint)| (*hint).to_owned())
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Says whether a text ends with a string after the brace of a block: the key of a map in JSON.
fn is_key(before: &str, begins_block: impl Fn(&str) -> bool) -> bool {
    let Some(rest) = before.strip_suffix('"') else {
        return false;
    };
    let start = rest.rfind('"');
    start.is_some_and(|start| begins_block(rest[..start].trim_end()))
}

/// Says whether a text ends with `let NAME`.
fn is_declared(before: &str) -> bool {
    let mut words = before.split_whitespace().rev();
    words.next().is_some_and(is_word) && matches!(words.next(), Some("let" | "const"))
}

#[cfg(test)]
mod tests {
    use super::super::{interpreter, script::syntax_fault};

    #[test]
    fn words_of_other_languages_have_a_hint() {
        for (text, wanted) in [
            ("let x = null;", "`()`"),
            ("let x = None;", "`()`"),
            ("let x = True;", "`true`"),
            ("let x = {a: 1};", "`#{`"),
            ("let x = {\"a\": 1};", "`#{`"),
            ("f({a: 1})", "`#{`"),
            ("if 1 == 1 { } elif 2 == 2 { }", "`else if`"),
            ("let a = true; if a and a { }", "`&&`"),
            ("let a = true; if a or a { }", "`||`"),
            ("if not true { }", "`!`"),
            ("x := 1;", "`let x = …`"),
            ("x = 1;", "`let x = …`"),
            ("let f = x => x + 1;", "`|x| x + 1`"),
            ("let a = 1; f\"{a}\"", "backticks"),
            ("var x = 1;", "`let`"),
            ("let x = 1; x++;", "`x += 1`"),
            ("let x = true ? 1 : 2;", "`if x { a } else { b }`"),
            ("log.info(1)", "`log::`"),
            ("let x: int = 1;", "has no type"),
            ("while true do { }", "in braces"),
        ] {
            let error = interpreter::steps().compile(text).expect_err(text);
            let help = syntax_fault(text, &error).help.unwrap_or_default();
            assert!(help.contains(wanted), "{text}: {help}");
        }
        for text in [
            "let match = 1;",
            "#{ null: 1 }",
            "let a = 1; a.match",
            "x == 1",
        ] {
            let error = interpreter::steps().compile(text).expect_err(text);
            let help = syntax_fault(text, &error).help.unwrap_or_default();
            assert!(!help.contains("write"), "{text}: {help}");
        }
    }
}
