//! A DER writer: each function returns one complete element.
//!
//! X.509 needs so little of DER that this is shorter than calls to a general writer.

use time::OffsetDateTime;

use crate::clock::Moment;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Returns an element: tag, length, content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
        out.push(0x80 | (bytes.len() - first) as u8);
        out.extend_from_slice(&bytes[first..]);
    }
    out.extend_from_slice(content);
    out
}

/// Returns a SEQUENCE of complete elements.
pub(crate) fn sequence<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    constructed(SEQUENCE, parts)
}

/// Returns a constructed element with any tag, which contains complete elements.
pub(crate) fn constructed<P: AsRef<[u8]>>(tag: u8, parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    let mut content = Vec::new();
    for part in parts {
        content.extend_from_slice(part.as_ref());
    }
    element(tag, &content)
}

/// Returns a SET OF, with its elements in DER's order.
pub(crate) fn set(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    constructed(SET, parts)
}

/// Returns `[number]` with explicit tagging, or with implicit tagging of a constructed type.
pub(crate) fn context(number: u8, content: &[u8]) -> Vec<u8> {
    element(0xa0 | number, content)
}

/// Returns `[number]` with implicit tagging of a primitive type.
pub(crate) fn context_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    element(0x80 | number, content)
}

/// Returns TRUE. DER omits FALSE wherever it is the default.
pub(crate) fn yes() -> Vec<u8> {
    element(BOOLEAN, &[0xff])
}

/// Returns an INTEGER with the bytes of an unsigned number, the most significant first.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let first = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let digits = &bytes[first..];
    let mut content = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(digits);
    element(INTEGER, &content)
}

/// Returns an INTEGER with a small number.
pub(crate) fn number(value: u64) -> Vec<u8> {
    unsigned(&value.to_be_bytes())
}

/// Returns an OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, bytes)
}

/// Returns a BIT STRING of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes.len() + 1);
    content.push(0);
    content.extend_from_slice(bytes);
    element(BIT_STRING, &content)
}

/// Returns a BIT STRING of named bits, beginning with bit 0; trailing zeros are omitted.
pub(crate) fn named_bits(set: &[bool]) -> Vec<u8> {
    let length = set.iter().rposition(|bit| *bit).map_or(0, |last| last + 1);
    let mut content = vec![0; 1 + length.div_ceil(8)];
    content[0] = ((8 - length % 8) % 8) as u8;
    for (index, _) in set[..length].iter().enumerate().filter(|(_, bit)| **bit) {
        content[1 + index / 8] |= 0x80 >> (index % 8);
    }
    element(BIT_STRING, &content)
}

/// Returns an OBJECT IDENTIFIER from its dotted form, or `None` if the text is not one.
///
/// Only the canonical form is accepted, so two identifiers are equal exactly if their texts are equal: `2.5.29.019` is
/// refused.
pub(crate) fn object(dotted: &str) -> Option<Vec<u8>> {
    let mut arcs = dotted.split('.').map(|arc| {
        let plain = arc == "0" || !arc.starts_with(['0', '+']);
        arc.parse::<u64>().ok().filter(|_| plain)
    });
    let (first, second) = (arcs.next()??, arcs.next()??);
    if first > 2 || (first < 2 && second > 39) {
        return None;
    }
    let mut content = Vec::new();
    base128(first.checked_mul(40)?.checked_add(second)?, &mut content);
    for arc in arcs {
        base128(arc?, &mut content);
    }
    Some(element(0x06, &content))
}

fn base128(value: u64, out: &mut Vec<u8>) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.push(((value >> (7 * group)) & 0x7f) as u8 | more);
    }
}

/// Returns a time as RFC 5280 requires it: UTCTime until 2049, GeneralizedTime after that.
pub(crate) fn time(moment: Moment) -> Vec<u8> {
    let at = date(moment);
    let rest = clock_digits(at);
    if (1950..2050).contains(&at.year()) {
        element(0x17, format!("{:02}{rest}", at.year() % 100).as_bytes())
    } else {
        generalized(moment)
    }
}

/// Returns a GeneralizedTime in whole seconds.
pub(crate) fn generalized(moment: Moment) -> Vec<u8> {
    let at = date(moment);
    element(
        0x18,
        format!("{:04}{}", at.year(), clock_digits(at)).as_bytes(),
    )
}

fn date(moment: Moment) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(moment.div_euclid(1000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn clock_digits(at: OffsetDateTime) -> String {
    format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_use_base_128() {
        assert_eq!(object("2.5.29.19").unwrap(), [6, 3, 0x55, 0x1d, 0x13]);
        assert_eq!(
            object("1.2.840.113549").unwrap(),
            [6, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]
        );
        assert_eq!(object("3.1"), None);
        assert_eq!(object("2.5.29.019"), None);
        assert_eq!(object("2.5.29.+19"), None);
        assert_eq!(object("1"), None);
    }

    #[test]
    fn named_bits_drop_trailing_zeros() {
        assert_eq!(named_bits(&[true, false, true, false]), [3, 2, 5, 0xa0]);
        assert_eq!(
            named_bits(&[false, false, false, false, false, true, true, false, true]),
            [3, 3, 7, 0x06, 0x80]
        );
        assert_eq!(named_bits(&[false]), [3, 1, 0]);
    }

    #[test]
    fn integers_stay_positive() {
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(number(0), [2, 1, 0]);
    }
}
