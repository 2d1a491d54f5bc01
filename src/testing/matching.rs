//! Matches values against the patterns of a test: texts with `*`, maps that list only some entries.

use crate::value::{Value, matches_glob};

/// Says whether a value matches a pattern. In a text, `*` stands for any text and `\*` for a star; a map must have the pattern's
/// entries and may have more; a list must have exactly the pattern's items.
pub fn matches(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::Map(wanted), Value::Map(map)) => wanted.iter().all(|(key, wanted)| {
            let found = map.get(key).unwrap_or(&Value::Null);
            matches(wanted, found)
        }),
        (Value::List(wanted), Value::List(items)) => {
            wanted.len() == items.len()
                && wanted
                    .iter()
                    .zip(items)
                    .all(|(wanted, item)| matches(wanted, item))
        }
        (Value::String(glob), Value::String(text)) => fits(glob, text),
        (Value::String(glob), Value::Secret(secret)) => fits(glob, secret.reveal()),
        (Value::String(glob), Value::Int(_) | Value::Float(_) | Value::Bool(_))
            if glob.contains('*') =>
        {
            fits(glob, &value.to_text())
        }
        (Value::Int(wanted), Value::Float(number)) => *wanted as f64 == *number,
        (pattern, value) => pattern == value,
    }
}

/// Says whether a text matches a glob: `*` stands for any text, which may be empty or span lines.
pub fn fits(glob: &str, text: &str) -> bool {
    matches_glob(&parts_of(glob), text)
}

/// Returns the texts between the stars.
fn parts_of(glob: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut characters = glob.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'*') => {
                characters.next();
                part.push('*');
            }
            '*' => parts.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part() {
        for (glob, text) in [
            ("", ""),
            ("a", "a"),
            ("*", ""),
            ("*", "a\nb"),
            ("*/users/*/password", "https://x/users/app/password"),
            ("a*a", "aa"),
            ("**", "x"),
            ("\\*", "*"),
            ("*b*b", "abcb"),
        ] {
            assert!(fits(glob, text), "{glob} {text}");
        }
        for (glob, text) in [
            ("", "a"),
            ("a", "ab"),
            ("a*a", "a"),
            ("\\*", "a"),
            ("*/users", "/users/a"),
            ("*b*b", "ab"),
        ] {
            assert!(!fits(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn a_map_may_have_more_and_a_list_may_not() {
        let value = |text: &str| Value::parse_json(text).expect("JSON");
        let is = |pattern: &str, found: &str| matches(&value(pattern), &value(found));
        assert!(is(
            r#"{"a": {"b": "x*"}}"#,
            r#"{"a": {"b": "xy", "c": 1}, "d": 2}"#
        ));
        assert!(!is(r#"{"a": 1}"#, r#"{"b": 1}"#));
        assert!(
            is(r#"{"a": null}"#, r#"{"b": 1}"#),
            "what is not there is nothing"
        );
        assert!(is("[1, \"*\"]", "[1, \"x\"]") && !is("[1]", "[1, 2]"));
        assert!(is("1", "1.0") && !is("\"1\"", "1"));
        let secret = Value::Secret(crate::value::Secret::new("hidden"));
        assert!(matches(&"hid*".into(), &secret) && !matches(&"x".into(), &secret));
    }
}
