//! `url`: parts of addresses. The result for a secret is a secret.

use super::{
    Thrown,
    arguments::refuse,
    function::{
        Function, Gives,
        Impact::Computes,
        Needs,
        ValueKind::{self, Either, Secret, Text},
        required,
    },
    http,
};
use windlass_world::value;

const CODE: ValueKind = Either(&[Text, Secret]);

pub(super) static TABLE: [Function; 1] = [Function {
    name: "url::encode",
    about: "Percent-encodes a text, so that it is one part of the path of a URL. `.` and `..` are rejected: no encoding makes one a part of a path.",
    takes: &[required("text", CODE, "")],
    gives: Gives::new(
        CODE,
        "all but letters, digits, `-`, `.`, `_` and `~` is encoded; a secret if the input is a secret",
    ),
    does: Computes,
    needs: Needs::Nothing,
    example: "http::get(inputs.base + \"/users/\" + url::encode(inputs.user));",
    bind: |b| {
        b.with(|text: &str| encode(text.as_bytes()))
            .with(|secret: value::Secret| encode(secret.reveal_bytes()).map(value::Secret::new))
    },
}];

/// Readers of URLs take dot segments out of a path, also encoded ones (WHATWG URL, "double-dot URL path segment").
fn encode(part: &[u8]) -> Result<String, Thrown> {
    let what = match part {
        b"." => "`.`",
        b".." => "`..`",
        part => return Ok(http::encode(part)),
    };
    let why = format!("{what} can't be one part of the path of a URL");
    Err(refuse("url::encode", why))
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn a_part_of_a_path_has_no_meaning_of_its_own() {
        let encoded = |text: &str| encode(text.as_bytes()).map_err(|e| e.to_string());
        for (text, wanted) in [
            ("a/b ?#%ü", "a%2Fb%20%3F%23%25%C3%BC"),
            ("A-z.0_9~", "A-z.0_9~"),
            ("...", "..."),
            ("../x", "..%2Fx"),
            ("", ""),
        ] {
            assert_eq!(encoded(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in [".", ".."] {
            let why = encoded(text).expect_err(text);
            assert!(why.contains("can't be one part of the path"), "{why}");
        }
    }
}
