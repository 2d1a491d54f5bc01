//! A DER reader for the little that `x509-parser` does not support (OCSP requests) or does not read strictly (names).

/// The rest of some DER.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// An element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// The element with its tag and length.
    pub raw: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the next element. Returns `None` if there is none or it is incomplete.
    pub fn next(&mut self) -> Option<Element<'a>> {
        let bytes = self.0;
        let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
        let (length, start) = if first < 0x80 {
            (usize::from(first), 2)
        } else {
            // At most 4 bytes, since no request here is larger. Indefinite lengths are not allowed in DER.
            let count = usize::from(first & 0x7f);
            let digits = bytes
                .get(2..2 + count)
                .filter(|_| (1..=4).contains(&count))?;
            let length = digits
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, 2 + count)
        };
        let end = start.checked_add(length)?;
        let raw = bytes.get(..end)?;
        self.0 = &bytes[end..];
        Some(Element {
            tag,
            content: &raw[start..],
            raw,
        })
    }

    /// Reads the next element. Returns `None` if it does not have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// Reads the next element, but only if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) {
            self.next()
        } else {
            None
        }
    }
}

impl<'a> Element<'a> {
    /// Returns a reader of the content.
    pub fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }
}
