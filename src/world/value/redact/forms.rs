use std::{collections::BTreeSet, sync::Arc};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};
use zeroize::Zeroizing;

use super::parts::{LEAST_CUT, LEAST_ENCODED, Part};

/// The minimum of different bytes in a beginning or an end that is searched for by itself.
const LEAST_VARIED: usize = 5;

/// A pattern for the automaton, and how much is hidden when it is found.
#[derive(Clone)]
pub struct Form {
    pub text: Arc<Zeroizing<Vec<u8>>>,
    pub anchor: Anchor,
    /// Whether the surrounding text was encoded together with it, so that it must be hidden, too.
    pub spreads: bool,
    /// Whether it stays visible in a certificate.
    pub may_be_public: bool,
}

/// Which bytes of a form are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// All of them.
    Whole,
    /// The first ones; as many bytes as match are hidden.
    Head,
    /// The last ones.
    Tail,
}

impl Form {
    /// Returns the bytes that the automaton searches for.
    pub fn sought(&self) -> &[u8] {
        match self.anchor {
            Anchor::Whole => &self.text,
            Anchor::Head => &self.text[..LEAST_CUT],
            Anchor::Tail => &self.text[self.text.len() - LEAST_CUT..],
        }
    }
}

/// Adds a part in each encoding that no view undoes.
pub fn forms(part: &Part, forms: &mut Vec<Form>) {
    let bytes = part.bytes.as_slice();
    let mut add = |text: Vec<u8>, may_be_cut: bool, spreads: bool| {
        let anchors = anchors(&text, may_be_cut);
        let text = Arc::new(Zeroizing::new(text));
        forms.extend(anchors.into_iter().map(|anchor| Form {
            text: text.clone(),
            anchor,
            spreads,
            may_be_public: part.may_be_public,
        }));
    };
    add(bytes.to_vec(), part.may_be_cut, false);
    if part.is_of_key {
        return;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            for other in quoted(text) {
                add(other.into_bytes(), false, false);
            }
            for other in in_other_charsets(text) {
                add(other, false, false);
            }
        }
        Err(_) => {
            for other in read_as_text(bytes) {
                add(other.into_bytes(), false, false);
            }
        }
    }
    for hex in [HEXLOWER, HEXUPPER] {
        add(hex.encode(bytes).into_bytes(), true, false);
    }
    let standard = aligned(&BASE64_NOPAD, bytes);
    for text in aligned(&BASE64URL_NOPAD, bytes) {
        if !standard.contains(&text) {
            add(text, true, true);
        }
    }
    for text in standard {
        add(text, true, true);
    }
}

/// Returns how a form is searched for. A beginning or an end that repeats a few bytes, such as the zeros of a keystore, also occurs
/// outside of secrets.
fn anchors(text: &[u8], may_be_cut: bool) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    if may_be_cut && text.len() > LEAST_CUT {
        if varies(&text[..LEAST_CUT]) {
            anchors.push(Anchor::Head);
        }
        if varies(&text[text.len() - LEAST_CUT..]) {
            anchors.push(Anchor::Tail);
        }
    }
    if anchors.is_empty() {
        anchors.push(Anchor::Whole);
    }
    anchors
}

fn varies(bytes: &[u8]) -> bool {
    bytes.iter().collect::<BTreeSet<_>>().len() >= LEAST_VARIED
}

/// Returns a text in the charsets in which servers and programs may answer, and which are decoded only after the search.
fn in_other_charsets(text: &str) -> Vec<Vec<u8>> {
    let units = || text.encode_utf16();
    let mut all = vec![
        units().flat_map(u16::to_le_bytes).collect(),
        units().flat_map(u16::to_be_bytes).collect(),
    ];
    if !text.is_ascii() {
        let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        all.extend(latin.ok());
    }
    all
}

/// Returns bytes that are not text as programs read them nevertheless: as Latin-1, and as UTF-8 with signs in place of what is not.
fn read_as_text(bytes: &[u8]) -> Vec<String> {
    let mut all = vec![bytes.iter().map(|byte| char::from(*byte)).collect()];
    let lossy = String::from_utf8_lossy(bytes).into_owned();
    let kept = lossy.chars().filter(|c| *c != char::REPLACEMENT_CHARACTER);
    if kept.collect::<BTreeSet<_>>().len() >= LEAST_VARIED {
        all.push(lossy);
    }
    all
}

/// Returns a text with quotes nested as in shells, and with spaces as in forms.
fn quoted(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    if text.contains('\'') {
        // A view has removed the backslashes.
        all.push(text.replace('\'', "'''"));
        all.push(text.replace('\'', "'\\''"));
        all.push(text.replace('\'', "'\"'\"'"));
    }
    if text.contains(' ') {
        all.push(text.replace(' ', "+"));
    }
    all
}

/// Returns the base64 characters that depend only on these bytes, for each offset at which they may begin.
fn aligned(encoding: &Encoding, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for skipped in 0..3 {
        let Some(rest) = bytes.get(skipped..) else {
            continue;
        };
        let whole = &rest[..rest.len() / 3 * 3];
        let is_first = skipped == 0;
        if bytes.len() >= LEAST_ENCODED || (is_first && rest.len() == whole.len()) {
            texts.push(encoding.encode(whole).into_bytes());
        } else if is_first {
            texts.push(encoding.encode(bytes).into_bytes());
        }
    }
    texts
}
