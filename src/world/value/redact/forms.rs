use std::sync::Arc;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};
use zeroize::Zeroizing;

use super::parts::{LEAST_CUT, LEAST_ENCODED, Part};

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
    let bytes = part.text.as_bytes();
    let mut add = |text: Vec<u8>, may_be_cut: bool, spreads: bool| {
        let text = Arc::new(Zeroizing::new(text));
        let anchors: &[Anchor] = match may_be_cut && text.len() > LEAST_CUT {
            true => &[Anchor::Head, Anchor::Tail],
            false => &[Anchor::Whole],
        };
        forms.extend(anchors.iter().map(|anchor| Form {
            text: text.clone(),
            anchor: *anchor,
            spreads,
            may_be_public: part.may_be_public,
        }));
    };
    add(bytes.to_vec(), part.may_be_cut, false);
    if part.may_be_public {
        return;
    }
    for other in quoted(&part.text) {
        add(other.into_bytes(), false, false);
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
