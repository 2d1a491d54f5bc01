//! `base64`: the standard alphabet with padding, and the URL alphabet without. The result for a secret
//! is a secret.

use data_encoding::{BASE64, BASE64URL_NOPAD, Encoding};

use super::{
    Thrown,
    function::{
        Binder, Function, Gives,
        Impact::Computes,
        Needs,
        ValueKind::{self, Bytes, Either, Secret, Text},
        required,
    },
};
use windlass_world::value;

const CONTENT: ValueKind = Either(&[Text, Bytes, Secret]);
const CODE: ValueKind = Either(&[Text, Secret]);

pub(super) static TABLE: [Function; 6] = [
    Function {
        name: "base64::decode",
        about: "Decodes base64 to a text, which must be UTF-8.",
        takes: &[required("text", CODE, "the standard alphabet, padded")],
        gives: Gives::new(
            CODE,
            "a secret if the input is a secret, even if it is not UTF-8",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let text = base64::decode(\"aGVsbG8=\");",
        bind: |b| bind_decode(b, "decode", BASE64),
    },
    Function {
        name: "base64::decode_bytes",
        about: "Decodes base64 to bytes.",
        takes: &[required("text", Text, "the standard alphabet, padded")],
        gives: Gives::new(Bytes, ""),
        does: Computes,
        needs: Needs::Nothing,
        example: "let bytes = base64::decode_bytes(\"aGVsbG8=\");",
        bind: |b| bind_decode_bytes(b, "decode_bytes", BASE64),
    },
    Function {
        name: "base64::decode_url",
        about: "Decodes base64 for URLs to a text, which must be UTF-8.",
        takes: &[required(
            "text",
            CODE,
            "the alphabet for URLs, without padding",
        )],
        gives: Gives::new(
            CODE,
            "a secret if the input is a secret, even if it is not UTF-8",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let text = base64::decode_url(\"aGVsbG8\");",
        bind: |b| bind_decode(b, "decode_url", BASE64URL_NOPAD),
    },
    Function {
        name: "base64::decode_url_bytes",
        about: "Decodes base64 for URLs to bytes.",
        takes: &[required(
            "text",
            Text,
            "the alphabet for URLs, without padding",
        )],
        gives: Gives::new(Bytes, ""),
        does: Computes,
        needs: Needs::Nothing,
        example: "let bytes = base64::decode_url_bytes(\"aGVsbG8\");",
        bind: |b| bind_decode_bytes(b, "decode_url_bytes", BASE64URL_NOPAD),
    },
    Function {
        name: "base64::encode",
        about: "Encodes a text or bytes in base64.",
        takes: &[required("text", CONTENT, "")],
        gives: Gives::new(
            CODE,
            "the standard alphabet, padded; a secret if the input is a secret",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let code = base64::encode(inputs.text);",
        bind: |b| bind_encode(b, BASE64),
    },
    Function {
        name: "base64::encode_url",
        about: "Encodes a text or bytes in base64 for URLs.",
        takes: &[required("text", CONTENT, "")],
        gives: Gives::new(
            CODE,
            "the alphabet for URLs, without padding; a secret if the input is a secret",
        ),
        does: Computes,
        needs: Needs::Nothing,
        example: "let code = base64::encode_url(inputs.text);",
        bind: |b| bind_encode(b, BASE64URL_NOPAD),
    },
];

fn bind_encode<'b, 'm>(binder: &'b mut Binder<'m>, encoding: Encoding) -> &'b mut Binder<'m> {
    let (of_bytes, of_secret) = (encoding.clone(), encoding.clone());
    binder
        .with(move |text: &str| encoding.encode(text.as_bytes()))
        .with(move |bytes: value::Bytes| of_bytes.encode(&bytes))
        .with(move |secret: value::Secret| {
            value::Secret::new(of_secret.encode(secret.reveal_bytes()))
        })
}

fn bind_decode<'b, 'm>(
    binder: &'b mut Binder<'m>,
    name: &'static str,
    encoding: Encoding,
) -> &'b mut Binder<'m> {
    let of_secret = encoding.clone();
    binder
        .with(move |text: &str| -> Result<String, Thrown> {
            let bytes = bytes_of(name, &encoding, text)?;
            String::from_utf8(bytes).map_err(|_| {
                format!("base64::{name}: the decoded bytes are not UTF-8; `base64::{name}_bytes` returns the bytes").into()
            })
        })
        .with(move |secret: value::Secret| -> Result<value::Secret, Thrown> {
            let bytes = bytes_of(name, &of_secret, secret.reveal())?;
            Ok(value::Secret::of_bytes(&bytes))
        })
}

fn bind_decode_bytes<'b, 'm>(
    binder: &'b mut Binder<'m>,
    name: &'static str,
    encoding: Encoding,
) -> &'b mut Binder<'m> {
    binder.with(move |text: &str| -> Result<value::Bytes, Thrown> {
        bytes_of(name, &encoding, text).map(value::Bytes::new)
    })
}

fn bytes_of(function: &str, encoding: &Encoding, text: &str) -> Result<Vec<u8>, Thrown> {
    encoding
        .decode(text.trim().as_bytes())
        .map_err(|_| format!("base64::{function}: the text is not base64").into())
}
