//! `url`: parts of addresses. The result for a secret is a secret.

use super::function::{
    Function, Gives,
    Impact::Computes,
    Needs,
    ValueKind::{self, Either, Secret, Text},
    required,
};
use windlass_world::{outside::aws, value};

const CODE: ValueKind = Either(&[Text, Secret]);

pub(super) static TABLE: [Function; 1] = [Function {
    name: "url::encode",
    about: "Percent-encodes a text, so that it is one part of the path of a URL.",
    takes: &[required("text", CODE, "")],
    gives: Gives::new(
        CODE,
        "all but letters, digits, `-`, `.`, `_` and `~` is encoded; a secret if the input is a secret",
    ),
    does: Computes,
    needs: Needs::Nothing,
    example: "http::get(inputs.base + \"/users/\" + url::encode(inputs.user));",
    bind: |b| {
        b.with(|text: &str| aws::encode(text))
            .with(|secret: value::Secret| value::Secret::new(aws::encode(secret.reveal())))
    },
}];

#[cfg(test)]
mod tests {
    use windlass_world::outside::aws;

    #[test]
    fn a_part_of_a_path_has_no_meaning_of_its_own() {
        assert_eq!(aws::encode("a/b ?#%ü"), "a%2Fb%20%3F%23%25%C3%BC");
        assert_eq!(aws::encode("A-z.0_9~"), "A-z.0_9~");
    }
}
