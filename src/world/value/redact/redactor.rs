use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{
    forms::{Anchor, Form, forms},
    parts::{LEAST_WHOLE, Origin, parts},
    private::public_blocks,
    views::{MOST_LEVELS, View},
};
use crate::value::{Digest, Failure, MASK, Secret, StepError, Value};
use windlass_ground::lock;

/// How much of a failure's text is recorded; it is shortened further for display.
const MOST_MESSAGE_BYTES: usize = 64 << 10;
/// The shortest secret that is removed from the failure of the call to which it was given: there, a match is probably the secret.
const LEAST_SENT: usize = 3;

/// Knows the secrets of a run, and removes them from everything that leaves it. See the module for what it finds.
///
/// Texts for people get [`MASK`] in place of secrets; a text that is used further as a value becomes a [`Secret`] as a whole.
#[derive(Default)]
pub struct Redactor {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    seen: HashSet<(Digest, bool)>,
    /// The declared secrets, in the order in which they were learnt.
    said: Vec<Secret>,
    /// The forms that are not in an automaton yet.
    fresh: Vec<Form>,
    /// The automata, each at most half as large as the one before it: a run may create thousands of keys, one after another, and building
    /// a single automaton of all of them each time would take ever longer.
    layers: Vec<Arc<Layer>>,
}

struct Layer {
    forms: Vec<Form>,
    automaton: AhoCorasick,
}

impl Redactor {
    /// Learns the secrets in a value.
    pub fn learn(&self, value: &Value) {
        self.learn_as(value, Origin::Said, LEAST_WHOLE);
    }

    /// Learns the secrets in data that contains secrets beside names, such as a Kubernetes Secret: plain names in it are not
    /// treated as secrets.
    pub fn learn_found(&self, value: &Value) {
        self.learn_as(value, Origin::Found, LEAST_WHOLE);
    }

    /// Returns a redactor for the failure of a call with these secrets; it also removes short ones.
    pub fn of_call(secrets: &[Secret]) -> Self {
        let redactor = Self::default();
        for secret in secrets {
            redactor.learn_secret(secret, Origin::Said, LEAST_SENT);
        }
        redactor
    }

    /// Returns the secrets that it knows, to teach them to another redactor.
    pub fn secrets(&self) -> Vec<Secret> {
        self.known().said.clone()
    }

    /// Says whether it knows no secrets.
    pub fn is_empty(&self) -> bool {
        let known = self.known();
        known.fresh.is_empty() && known.layers.is_empty()
    }

    /// Says whether there is a secret in some bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        !self.find(bytes).is_empty()
    }

    /// Returns a text for people: each secret in it is masked.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut masked, mut end) = (String::with_capacity(text.len()), 0);
        for range in found {
            // The range is extended to whole characters.
            let start = text.floor_char_boundary(range.start).max(end);
            masked.push_str(&text[end..start]);
            masked.push_str(MASK);
            end = text.ceil_char_boundary(range.end);
        }
        masked.push_str(&text[end..]);
        Cow::Owned(masked)
    }

    /// Returns a value for further use: each text, number and byte string with a secret in it becomes a secret, and keys are masked.
    pub fn value(&self, value: Value) -> Value {
        if self.is_empty() {
            value
        } else {
            self.hide(value)
        }
    }

    /// Returns JSON for people: texts, numbers and keys are masked.
    pub fn json(&self, json: serde_json::Value) -> serde_json::Value {
        if self.is_empty() {
            json
        } else {
            self.mask(json)
        }
    }

    /// Returns a failure as it is recorded: without secrets, and not longer than the journal allows.
    pub fn failure(&self, failure: Failure) -> Failure {
        Failure {
            class: failure.class,
            operation: self.owned(failure.operation),
            code: self.owned(failure.code),
            message: cut(self.owned(failure.message)),
            request_id: failure.request_id.map(|id| self.owned(id)),
            hint: failure.hint.map(|hint| self.owned(hint)),
            is_unknown: failure.is_unknown,
            is_done: failure.is_done,
            retry_after: failure.retry_after,
        }
    }

    /// Returns the error of a step as it is recorded.
    pub fn error(&self, error: StepError) -> StepError {
        StepError {
            message: cut(self.owned(error.message)),
            chain: error
                .chain
                .into_iter()
                .map(|call| self.owned(call))
                .collect(),
            failure: error.failure.map(|failure| self.failure(failure)),
            hint: error.hint.map(|hint| self.owned(hint)),
            ..error
        }
    }

    /// Like [`Redactor::text`].
    pub fn owned(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => masked,
        }
    }

    fn learn_as(&self, value: &Value, origin: Origin, least: usize) {
        match value {
            Value::Secret(secret) => self.learn_secret(secret, origin, least),
            Value::List(items) => items
                .iter()
                .for_each(|item| self.learn_as(item, origin, least)),
            Value::Map(map) => map
                .values()
                .for_each(|item| self.learn_as(item, origin, least)),
            _ => {}
        }
    }

    fn learn_secret(&self, secret: &Secret, origin: Origin, least: usize) {
        let digest = Digest::of_content(secret.reveal_bytes());
        let mut known = self.known();
        let is_new = known.seen.insert((digest, origin == Origin::Said));
        // Declared secrets are learnt already when they are found again.
        if !is_new || (origin == Origin::Found && known.seen.contains(&(digest, true))) {
            return;
        }
        if origin == Origin::Said {
            known.said.push(secret.clone());
        }
        for part in parts(secret, origin, least) {
            forms(&part, &mut known.fresh);
        }
    }

    fn hide(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                if self.is_in(text.as_bytes()) {
                    Value::Secret(Secret::new(text))
                } else {
                    Value::String(text)
                }
            }
            Value::Bytes(bytes) => {
                if self.is_in(&bytes) {
                    Value::Secret(Secret::of_bytes(&bytes))
                } else {
                    Value::Bytes(bytes)
                }
            }
            Value::Int(_) | Value::Float(_) => {
                let text = value.to_string();
                if self.is_in(text.as_bytes()) {
                    Value::Secret(Secret::new(text))
                } else {
                    value
                }
            }
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.hide(item)).collect())
            }
            Value::Map(map) => {
                let mut hidden = BTreeMap::new();
                for (key, item) in map {
                    let key = self.key(key, |key| hidden.contains_key(key));
                    hidden.insert(key, self.hide(item));
                }
                Value::Map(hidden)
            }
            other => other,
        }
    }

    fn mask(&self, json: serde_json::Value) -> serde_json::Value {
        use serde_json::Value as Json;
        match json {
            Json::String(text) => Json::String(self.owned(text)),
            Json::Number(number) => {
                if self.is_in(number.to_string().as_bytes()) {
                    MASK.into()
                } else {
                    Json::Number(number)
                }
            }
            Json::Array(items) => items.into_iter().map(|item| self.mask(item)).collect(),
            Json::Object(map) => {
                let mut masked = serde_json::Map::new();
                for (key, item) in map {
                    let key = self.key(key, |key| masked.contains_key(key));
                    masked.insert(key, self.mask(item));
                }
                Json::Object(masked)
            }
            other => other,
        }
    }

    /// Returns a key without secrets that differs from the existing ones.
    fn key(&self, key: String, is_taken: impl Fn(&str) -> bool) -> String {
        let masked = self.owned(key);
        let numbered = (2..).map(|number| format!("{masked} {number}"));
        std::iter::once(masked.clone())
            .chain(numbered)
            .find(|key| !is_taken(key))
            .unwrap_or(masked)
    }

    /// Returns the places of secrets in some bytes, in order and without overlaps.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let layers = self.layers();
        if layers.is_empty() || bytes.len() < LEAST_SENT {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut views = vec![(View::of(bytes), MOST_LEVELS)];
        while let Some((view, levels)) = views.pop() {
            for layer in &layers {
                layer.find(&view, &mut found);
            }
            let undone = view.undone(levels).into_iter();
            views.extend(undone.map(|(view, cost)| (view, levels - cost)));
        }
        joined(found)
    }

    fn layers(&self) -> Vec<Arc<Layer>> {
        let mut known = self.known();
        if !known.fresh.is_empty() {
            let mut forms = std::mem::take(&mut known.fresh);
            while known
                .layers
                .last()
                .is_some_and(|last| last.forms.len() < 2 * forms.len())
            {
                let last = known.layers.pop();
                forms.extend(last.iter().flat_map(|layer| layer.forms.iter().cloned()));
            }
            known.layers.push(Arc::new(Layer::new(forms)));
        }
        known.layers.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.known().seen.len())
    }
}

impl Layer {
    fn new(forms: Vec<Form>) -> Self {
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // A DFA would need a kilobyte for each byte of a form.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(Form::sought))
            .expect("the forms of a run's secrets are fewer than 2^31 bytes");
        Self { forms, automaton }
    }

    fn find(&self, view: &View, found: &mut Vec<Range<usize>>) {
        let bytes = &view.bytes;
        let mut public = None;
        // How far each form has been matched: nothing is compared twice.
        let mut reached: BTreeMap<usize, usize> = BTreeMap::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let index = hit.pattern().as_usize();
            let form = &self.forms[index];
            let before = reached.get(&index).copied().unwrap_or(0);
            let (mut start, mut end) = match form.anchor {
                Anchor::Whole => (hit.start(), hit.end()),
                Anchor::Head if hit.end() <= before => continue,
                Anchor::Head => {
                    let same = bytes[hit.start()..].iter().zip(form.text.iter());
                    let length = same.take_while(|(a, b)| a == b).count();
                    (hit.start(), hit.start() + length)
                }
                Anchor::Tail => {
                    let open = bytes[before.min(hit.start())..hit.end()].iter().rev();
                    let same = open.zip(form.text.iter().rev());
                    let length = same.take_while(|(a, b)| a == b).count();
                    (hit.end() - length, hit.end())
                }
            };
            if form.spreads {
                if end <= before {
                    continue;
                }
                let is_base64 = |byte: &&u8| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
                };
                start -= bytes[..start].iter().rev().take_while(is_base64).count();
                end += bytes[end..].iter().take_while(is_base64).count();
            }
            reached.insert(index, end);
            if form.may_be_public {
                let public = public.get_or_insert_with(|| match std::str::from_utf8(bytes) {
                    Ok(text) => public_blocks(text),
                    Err(_) => Vec::new(),
                });
                if public
                    .iter()
                    .any(|block| block.start <= start && end <= block.end)
                {
                    continue;
                }
            }
            let (start, end) = view.source(start, end);
            found.push(start..end);
        }
    }
}

fn joined(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in found {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_MESSAGE_BYTES {
        let end = text.floor_char_boundary(MOST_MESSAGE_BYTES);
        let left = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({left} bytes more)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.learn(&Value::Secret(Secret::new(*secret)));
        }
        redactor
    }

    #[test]
    fn texts_are_masked_and_values_become_secrets() {
        let redactor = knowing(&["hunter22", "1234567890"]);
        assert_eq!(
            redactor.text("é hunter22, again hunter22!"),
            "é ‹secret›, again ‹secret›!"
        );
        assert_eq!(redactor.text("nothing here"), "nothing here");
        let value = Value::map([
            ("hunter22", Value::Int(1_234_567_890)),
            ("other", "a hunter22 b".into()),
        ]);
        let hidden = redactor.value(value);
        assert!(
            matches!(hidden.field(MASK), Some(Value::Secret(_))),
            "{hidden:?}"
        );
        let Some(Value::Secret(text)) = hidden.field("other") else {
            panic!("{hidden:?}");
        };
        assert_eq!(text.reveal(), "a hunter22 b");
    }

    #[test]
    fn half_a_secret_is_found_where_it_was_cut() {
        let redactor = knowing(&["aB3dE5gH7jK9mN1pQ3sT5uV7"]);
        assert_eq!(
            redactor.text("bad token: aB3dE5gH7jK9mN1pQ…"),
            "bad token: ‹secret›…"
        );
        assert_eq!(redactor.text("…gH7jK9mN1pQ3sT5uV7"), "…‹secret›");
        assert_eq!(redactor.text("aB3dE5gH7jK9mN1"), "aB3dE5gH7jK9mN1");
    }

    #[test]
    fn a_message_is_cut_after_it_was_searched() {
        let redactor = knowing(&["hunter22"]);
        let text = format!("{}hunter22 and more", "x".repeat(MOST_MESSAGE_BYTES - 4));
        let failure = Failure::new(crate::value::FailureClass::Rejected, "a", "b", text);
        let message = redactor.failure(failure).message;
        assert!(
            !message.contains("hunt") && message.ends_with("bytes more)"),
            "{}",
            message.len()
        );
    }

    #[test]
    fn a_short_secret_is_found_where_it_was_sent() {
        let sent = Redactor::of_call(&[Secret::new("1234")]);
        assert_eq!(sent.text("PIN 1234 is wrong"), "PIN ‹secret› is wrong");
        assert_eq!(knowing(&["1234"]).text("PIN 1234"), "PIN 1234");
    }

    /// A keystore, or a key of random bytes, in every form in which a program or a server may show it.
    #[test]
    fn a_secret_that_is_not_text_is_found_in_every_form() {
        let key: Vec<u8> = (0..36).map(|i| (i * 73 + 129) as u8).collect();
        let redactor = Redactor::default();
        redactor.learn(&Value::Secret(Secret::of_bytes(&key)));
        let around = |before: &str| [before.as_bytes(), &key, b" after"].concat();
        let hex = data_encoding::HEXLOWER.encode(&key);
        let pairs: Vec<_> = key.iter().map(|byte| format!("{byte:02X}")).collect();
        let escaped = |mark: &str| key.iter().map(|byte| format!("{mark}{byte:02x}")).collect();
        let octal = key.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let latin: String = key.iter().map(|byte| char::from(*byte)).collect();
        let mut texts = vec![
            hex.clone(),
            hex.to_uppercase(),
            format!("{}\n{}\n", &hex[..60], &hex[60..]),
            pairs.join(":"),
            pairs.join(" "),
            pairs.join(",\n    "),
            escaped("%"),
            escaped("\\x"),
            octal,
            serde_json::Value::from(latin.as_str()).to_string(),
            latin,
            String::from_utf8_lossy(&key).into_owned(),
            format!("cut: {}…", &hex[..40]),
        ];
        for encoding in [
            data_encoding::BASE64,
            data_encoding::BASE64URL,
            data_encoding::BASE64_NOPAD,
        ] {
            for before in ["", "a", "ab", "user:"] {
                texts.push(encoding.encode(&around(before)));
            }
        }
        for text in texts {
            let shown = redactor.text(&format!("<{text}>")).into_owned();
            let rest = shown.replace(MASK, "");
            assert!(shown.contains(MASK) && rest.len() < 12, "{text}: {shown}");
        }
        assert!(redactor.is_in(&around("raw: ")));
        let answer = redactor.value(Value::Bytes(crate::value::Bytes::new(around("{"))));
        assert!(matches!(answer, Value::Secret(_)), "{answer:?}");
        // Its base64, as a text of its own, is another secret.
        let base64 = Secret::of_bytes(&key).reveal().to_owned();
        redactor.learn(&Value::Secret(Secret::new(base64.clone())));
        assert!(redactor.is_in(base64.as_bytes()) && redactor.is_in(&key));
    }

    #[test]
    fn a_text_in_another_charset_is_found() {
        let secret = "gehäim-pässwört-1";
        let redactor = knowing(&[secret]);
        let text = format!("you sent {secret}.");
        let latin: Vec<u8> = text.chars().map(|c| c as u32 as u8).collect();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [latin, little, big] {
            let value = redactor.value(Value::Bytes(crate::value::Bytes::new(bytes)));
            assert!(matches!(value, Value::Secret(_)), "{value:?}");
        }
    }

    /// Keystores begin and end as others do.
    #[test]
    fn bytes_that_repeat_are_no_secret_by_themselves() {
        let key = [&[0; 32][..], b"\xffw\x81k!\x02\x7f", &[0; 32]].concat();
        let redactor = Redactor::default();
        redactor.learn(&Value::Secret(Secret::of_bytes(&key)));
        assert!(redactor.is_in(&key));
        assert!(!redactor.is_in(&[0; 64]));
        assert!(!redactor.is_in("A".repeat(64).as_bytes()));
        assert!(!redactor.is_in("0".repeat(64).as_bytes()));
    }

    #[test]
    fn octal_escapes_and_hex_with_marks_are_read() {
        let secret = "gehäim-pässwört-1";
        let redactor = knowing(&[secret]);
        for (text, masked) in [
            (
                r"+ mysql $'--password=geh\303\244im-p\303\244ssw\303\266rt-1'",
                "+ mysql $'--password=‹secret›'",
            ),
            (
                "67 65 68 c3 a4 69 6d 2d 70 c3 a4 73 73 77 c3 b6\n 72 74 2d 31\n",
                "‹secret›\n",
            ),
            (
                "key: 67:65:68:C3:A4:69:6D:2D:70:C3:A4:73:73:77:C3:B6:72:74:2D:31.",
                "key: ‹secret›.",
            ),
            (
                "0x67, 0x65, 0x68, 0xc3, 0xa4, 0x69, 0x6d, 0x2d, 0x70, 0xc3, 0xa4, 0x73, 0x73, 0x77, 0xc3, 0xb6, 0x72, 0x74, 0x2d, 0x31",
                "0x‹secret›",
            ),
            (
                "6765 68c3 a469 6d2d 70c3 a473 7377 c3b6 7274 2d31",
                "‹secret›",
            ),
        ] {
            assert_eq!(redactor.text(text), masked);
            let json = serde_json::Value::from(text).to_string();
            let shown = redactor.text(&json).into_owned();
            assert!(shown.contains(MASK) && shown.len() < 60, "{shown}");
        }
        let plain = "at 12:30:45 on 2026-11-29, be ad de 10.0.0.1 aa:bb:cc:dd:ee:ff";
        assert_eq!(redactor.text(plain), plain);
        // A secret number is not looked for in times.
        let redactor = knowing(&["123045", "20261129"]);
        assert_eq!(redactor.text(plain), plain);
        assert_eq!(redactor.text("31 32 33 30 34 35"), "‹secret›");
    }

    /// Certificates contain the public half of a key, at any alignment.
    #[test]
    fn a_certificate_is_not_hidden_for_its_key() {
        let rsa =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        for (algorithm, pair) in [("RSA", rsa), ("EC", ec)] {
            let pem = pair.expect("a key").serialize_pem();
            let redactor = knowing(&[&pem]);
            let lines: Vec<_> = pem.lines().filter(|line| !line.starts_with('-')).collect();
            for line in &lines {
                assert!(redactor.is_in(line.as_bytes()), "{algorithm}: {line}");
            }
            let public = format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
                lines[..2].join("\n")
            );
            let is_hidden = redactor.is_in(public.as_bytes());
            // The second line of an EC key is private, so it must not occur anywhere.
            assert_eq!(is_hidden, algorithm == "EC", "{public}");
        }
    }

    #[test]
    fn thousands_of_secrets_are_learnt_one_by_one() {
        let redactor = Redactor::default();
        for i in 0..3000 {
            let secret = Secret::new(format!("secret-number-{i:04}"));
            redactor.learn(&Value::Secret(secret));
            if i % 10 == 0 {
                assert!(redactor.is_in(format!("<secret-number-{i:04}>").as_bytes()));
            }
        }
        assert!(redactor.known().layers.len() < 12);
        assert!(redactor.is_in(b"secret-number-0007"));
    }

    /// A Secret may have the name of a CA, whose base64 is in each certificate of that CA.
    #[test]
    fn what_was_found_beside_secrets_is_not_searched_for_in_certificates() {
        let name = data_encoding::BASE64.encode(b"Gloo Mesh Root CA");
        let certificate =
            format!("-----BEGIN CERTIFICATE-----\nMIIB{name}\n-----END CERTIFICATE-----\n");
        let found = Redactor::default();
        found.learn_found(&Value::Secret(Secret::new(name.as_str())));
        assert!(!found.is_in(certificate.as_bytes()));
        assert!(found.is_in(format!("name: {name}").as_bytes()));
        let again = data_encoding::BASE64.encode(name.as_bytes());
        assert!(found.is_in(again.as_bytes()), "in other forms, too");
        let hex = data_encoding::HEXLOWER.encode(name.as_bytes());
        assert!(found.is_in(hex.as_bytes()));
        assert!(
            knowing(&[&name]).is_in(certificate.as_bytes()),
            "it was declared"
        );
    }
}
