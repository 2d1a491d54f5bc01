//! The answer of a call to a server or a program.
//!
//! Text is recorded as text only if that loses nothing: the bytes are valid UTF-8 and decode to just that text. Anything
//! else is recorded as bytes, once. Scripts read fields that are derived from the record: `body` is decoded by the
//! answer's charset, `body_bytes` is always available, `json` is parsed. Each field fails with the reason if it can't be read.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use encoding_rs::{Encoding, UTF_8};
use rhai::{Array, Dynamic, EvalAltResult, FuncRegistration, Module};

use super::{
    dynamic::to_dynamic,
    secrecy::{PARTS, SecretOutput},
};
use windlass_world::value::{Bytes, Secret, Value};

/// The fields that hold text, with the names of the fields that hold their bytes.
const TEXTS: [(&str, &str); 3] = [
    ("body", "body_bytes"),
    ("stdout", "stdout_bytes"),
    ("stderr", "stderr_bytes"),
];
/// The field of a program's answer that is recorded only if it is true.
pub(super) const TRUNCATED: &str = "truncated";
const OTHERS: [&str; 5] = ["code", "headers", "json", "status", TRUNCATED];

type Thrown = Box<EvalAltResult>;

/// A recorded answer as scripts see it.
#[derive(Clone, Debug)]
pub(super) struct Answer(Arc<BTreeMap<String, Value>>);

impl Answer {
    /// Returns the name and the value under which a text is recorded.
    pub fn record(name: &str, bytes: &[u8], charset: Option<&str>) -> (String, Value) {
        match decode(bytes, charset) {
            Ok(text) if text.as_bytes() == bytes => (name.into(), text.into_owned().into()),
            _ => (format!("{name}_bytes"), Bytes::new(bytes).into()),
        }
    }

    /// Wraps a recorded answer. An answer that an operator gave for a call in doubt may be any value.
    pub fn of(recorded: Value) -> Dynamic {
        match recorded {
            Value::Map(fields) => Dynamic::from(Self(Arc::new(fields))),
            other => to_dynamic(&other),
        }
    }

    /// Returns the answer as a value for outside the script: with `body` if it is text, else `body_bytes`, and with `json`
    /// if the content type is JSON.
    pub fn to_value(&self) -> Value {
        let mut fields = (*self.0).clone();
        for (name, bytes) in TEXTS {
            if fields.contains_key(bytes)
                && let Ok(text) = self.text(name)
            {
                fields.insert(name.into(), text);
                fields.remove(bytes);
            }
        }
        fields.remove(PARTS);
        if self.says_json() {
            fields.insert("json".into(), self.json().unwrap_or_default());
        } else {
            fields.remove("json");
        }
        Value::Map(fields)
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "json" if self.has("body") => return self.json(),
            TRUNCATED if self.has("stdout") && !self.0.contains_key(TRUNCATED) => {
                return Ok(false.into());
            }
            _ => {}
        }
        for (text, bytes) in TEXTS {
            match name {
                _ if name == text && self.has(text) => return self.text(text),
                _ if name == bytes && self.has(text) => return Ok(self.bytes(text)),
                _ => {}
            }
        }
        match self.0.get(name) {
            Some(value) => Ok(value.clone()),
            None => Err(format!(
                "the answer has no `{name}` (it has {})",
                self.names().join(", ")
            )),
        }
    }

    fn has(&self, text: &str) -> bool {
        self.0.contains_key(text) || self.0.contains_key(&format!("{text}_bytes"))
    }

    fn names(&self) -> Vec<&str> {
        let texts = TEXTS.iter().filter(|(text, _)| self.has(text));
        let mut names: Vec<&str> = texts.flat_map(|(text, bytes)| [*text, *bytes]).collect();
        let others = self.0.keys().map(String::as_str);
        let others = others.filter(|name| *name != PARTS);
        names.extend(
            others
                .filter(|name| !names.contains(name))
                .collect::<Vec<_>>(),
        );
        if self.has("body") && !names.contains(&"json") {
            names.push("json");
        }
        names.sort_unstable();
        names
    }

    fn text(&self, name: &str) -> Result<Value, String> {
        if let Some(text) = self.0.get(name) {
            return Ok(text.clone());
        }
        let read = |bytes: &[u8]| {
            let encoding = self.header("content-encoding");
            if let Some(encoding) = encoding.filter(|e| !e.eq_ignore_ascii_case("identity")) {
                return Err(format!(
                    "`{name}` has the encoding `{encoding}`, which windlass does not decode; `{name}_bytes` has the original bytes"
                ));
            }
            let charset = self.header("content-type").and_then(charset_of);
            decode(bytes, charset)
                .map(Cow::into_owned)
                .map_err(|why| format!("`{name}` {why}; `{name}_bytes` has the original bytes"))
        };
        match self.0.get(&format!("{name}_bytes")) {
            Some(Value::Bytes(bytes)) => read(bytes).map(Value::String),
            Some(Value::Secret(secret)) => {
                read(secret.reveal_bytes()).map(|text| Value::Secret(Secret::new(text)))
            }
            _ => Err(format!("the answer has no `{name}`")),
        }
    }

    fn bytes(&self, text: &str) -> Value {
        match (self.0.get(&format!("{text}_bytes")), self.0.get(text)) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(Value::String(text))) => Bytes::new(text.as_bytes()).into(),
            (None, other) => other.cloned().unwrap_or_default(),
        }
    }

    /// Returns the body as JSON, regardless of the content type; `()` if it is empty.
    fn json(&self) -> Result<Value, String> {
        let (text, is_secret) = match self.text("body")? {
            Value::String(text) => (text, false),
            Value::Secret(secret) => (secret.reveal().to_owned(), true),
            other => return Ok(other),
        };
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        let parsed = Value::parse_json(&text).map_err(|why| {
            let kind = match self.header("content-type").filter(|_| !is_secret) {
                Some(kind) => format!("its content type is `{kind}`"),
                None => "it has no content type".into(),
            };
            // The parser's message may quote the body.
            if is_secret {
                format!("`body` is not JSON ({kind})")
            } else {
                format!("`body` is not JSON ({kind}): {why}")
            }
        })?;
        Ok(match (is_secret, self.0.get(PARTS)) {
            (true, Some(parts)) => SecretOutput::read(Some(parts), |_| true)?.sealed(parsed),
            (true, None) => parsed.tainted(),
            (false, _) => parsed,
        })
    }

    fn says_json(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase().ends_with("json")
    }

    fn header(&self, name: &str) -> Option<&str> {
        match self.0.get("headers")?.field(name)? {
            Value::String(text) => Some(text),
            Value::Secret(secret) => Some(secret.reveal()),
            _ => None,
        }
    }
}

/// Returns the charset of a content type.
pub(super) fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })
}

/// Reads bytes as text. A byte order mark takes precedence over a charset, and is not part of the text; without
/// either they are UTF-8 (<https://encoding.spec.whatwg.org/#decode>).
fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Result<Cow<'a, str>, String> {
    let named = match charset {
        None => UTF_8,
        Some(label) => Encoding::for_label_no_replacement(label.as_bytes())
            .ok_or_else(|| format!("is in the charset `{label}`, which is not supported"))?,
    };
    let (encoding, rest) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, &bytes[length..]),
        None => (named, bytes),
    };
    encoding
        .decode_without_bom_handling_and_without_replacement(rest)
        .ok_or_else(|| format!("is not valid {}", encoding.name()))
}

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<Answer>("Answer");
    let texts = TEXTS.iter().flat_map(|(text, bytes)| [*text, *bytes]);
    for name in texts.chain(OTHERS) {
        FuncRegistration::new_getter(name)
            .in_global_namespace()
            .set_into_module(module, move |answer: &mut Answer| read(answer, name));
    }
    FuncRegistration::new_index_getter()
        .in_global_namespace()
        .set_into_module(module, |answer: &mut Answer, name: &str| read(answer, name));
    let set = |name: &str| FuncRegistration::new(name).in_global_namespace();
    for name in ["to_string", "to_debug"] {
        set(name).set_into_module(module, |answer: &mut Answer| answer.to_value().to_text());
    }
    set("contains").set_into_module(module, |answer: &mut Answer, name: &str| {
        answer.names().contains(&name)
    });
    set("keys").set_into_module(module, |answer: &mut Answer| {
        let names = answer.names().into_iter();
        names
            .map(|name| Dynamic::from(name.to_owned()))
            .collect::<Array>()
    });
}

fn read(answer: &mut Answer, name: &str) -> Result<Dynamic, Thrown> {
    let value = answer.field(name)?;
    Ok(to_dynamic(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &[u8]) -> Answer {
        let fields = BTreeMap::from([
            (
                "headers".into(),
                Value::map([("content-type", content_type.into())]),
            ),
            Answer::record("body", body, charset_of(content_type)),
        ]);
        Answer(Arc::new(fields))
    }

    #[test]
    fn a8_a_body_is_exact_or_refused() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let binary = answer("application/octet-stream", &every_byte);
        let why = binary.field("body").expect_err("no text");
        assert!(why.contains("is not valid UTF-8; `body_bytes`"), "{why}");
        assert_eq!(
            binary.field("body_bytes"),
            Ok(Bytes::new(every_byte).into())
        );
        for (kind, bytes, text) in [
            ("text/plain", "grün".as_bytes(), "grün"),
            ("text/plain; charset=ISO-8859-1", b"gr\xfcn", "grün"),
            (
                "text/plain; Charset=\"shift_jis\"",
                b"\x93\xfa\x96\x7b",
                "日本",
            ),
            ("text/plain", b"\xff\xfeg\0r\0", "gr"),
            ("text/plain", b"\xef\xbb\xbfbom", "bom"),
        ] {
            let answer = answer(kind, bytes);
            assert_eq!(answer.field("body"), Ok(text.into()), "{kind}");
            assert_eq!(
                answer.field("body_bytes"),
                Ok(Bytes::new(bytes).into()),
                "{kind}"
            );
        }
        for (kind, bytes) in [
            ("text/plain; charset=utf-8", &b"gr\xfcn"[..]),
            ("text/plain; charset=klingon", b"x\xff"),
            ("text/plain; charset=utf-16le", b"x"),
        ] {
            assert!(answer(kind, bytes).field("body").is_err(), "{kind}");
        }
    }

    #[test]
    fn e9_json_is_parsed_when_it_is_asked_for() {
        let json = |kind: &str, body: &str| answer(kind, body.as_bytes()).field("json");
        let wanted = Value::map([("a", Value::Int(1))]);
        assert_eq!(json("text/plain", r#"{"a": 1}"#), Ok(wanted));
        assert_eq!(json("application/json", ""), Ok(Value::Null));
        let why = json("text/html", "<html>").expect_err("HTML");
        assert!(
            why.starts_with("`body` is not JSON (its content type is `text/html`)"),
            "{why}"
        );
    }

    #[test]
    fn only_the_named_parts_of_an_answer_are_secrets() {
        let recorded = [
            (
                "body".to_owned(),
                Value::Secret(Secret::new(r#"{"id": 7, "token": "x"}"#)),
            ),
            (PARTS.to_owned(), Value::List(vec!["token".into()])),
        ];
        let answer = Answer(Arc::new(recorded.clone().into()));
        let json = answer.field("json").expect("JSON");
        assert_eq!(json.field("id"), Some(&Value::Int(7)));
        assert_eq!(json.field("token"), Some(&Value::Secret(Secret::new("x"))));
        assert_eq!(answer.names(), ["body", "body_bytes", "json"]);
        assert_eq!(answer.to_value().field(PARTS), None);
        // The path does not exist in this JSON, so all values in it are secret.
        let mut fields = BTreeMap::from(recorded);
        fields.insert(PARTS.into(), Value::List(vec!["access_token".into()]));
        let json = Answer(Arc::new(fields)).field("json").expect("JSON");
        assert_eq!(json.field("id"), Some(&Value::Secret(Secret::new("7"))));
    }

    #[test]
    fn a_secret_answer_stays_one() {
        let fields = |name: &str, secret| {
            Answer(Arc::new(BTreeMap::from([(
                name.into(),
                Value::Secret(secret),
            )])))
        };
        let text = fields("body", Secret::new(r#"{"token": "x"}"#));
        let token = text.field("json").expect("JSON");
        assert_eq!(token.field("token"), Some(&Value::Secret(Secret::new("x"))));
        let keystore = fields("body_bytes", Secret::of_bytes(&[0xff, 0]));
        assert_eq!(
            keystore.field("body_bytes"),
            Ok(Value::Secret(Secret::of_bytes(&[0xff, 0])))
        );
        assert!(keystore.field("body").is_err());
    }
}
