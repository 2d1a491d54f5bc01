//! Shows a text as it was before it was escaped.

use std::ops::Range;

use super::parts::LEAST_WHOLE;

/// Bytes, and the place of each in the text from which they were made.
pub struct View {
    pub bytes: Vec<u8>,
    /// One entry more than there are bytes: the last one is the end of the text.
    starts: Vec<u32>,
}

/// How many nested escapes are undone.
pub const MOST_LEVELS: usize = 4;

/// The most bytes between two groups: a line end and the next line's margin.
const LONGEST_GAP: usize = 40;

impl View {
    pub fn of(text: &[u8]) -> Self {
        Self {
            bytes: text.to_vec(),
            starts: (0..=text.len() as u32).collect(),
        }
    }

    /// Returns the range in the text of a range in the view.
    pub fn source(&self, from: usize, to: usize) -> (usize, usize) {
        (self.starts[from] as usize, self.starts[to] as usize)
    }

    /// Returns the view with one kind of escapes undone, for each kind that occurs in it and takes no more than so many levels, with what it
    /// takes.
    pub fn undone(&self, levels: usize) -> Vec<(Self, usize)> {
        let has = |byte| self.bytes.contains(&byte);
        let is_octal = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'0'..=b'7');
        let mut views = Vec::new();
        if levels >= 1 && has(b'\\') {
            views.push((self.map(backslash), 1));
            if levels >= 2 && self.bytes.windows(2).any(is_octal) {
                views.push((self.map(octal), 2));
            }
        }
        if levels >= 2 && has(b'%') {
            views.push((self.map(percent), 2));
        }
        if levels >= 2 && has(b'&') {
            views.push((self.map(entity), 2));
        }
        if levels >= 3 && has(b'\n') {
            views.push((self.map(line_break), 3));
        }
        if levels >= 3
            && let Some(read) = self.hex_read()
        {
            views.push((read, 3));
        }
        views
    }

    /// Returns the bytes that rows of hex digits with marks and blanks between them stand for, as `od`, `xxd` and `openssl` print bytes; `None`
    /// if there is no row that is long enough for a secret. The rest of the text is left out: it is in the other views. The digits
    /// themselves are not searched: those of a time or an address may be a secret number.
    fn hex_read(&self) -> Option<Self> {
        let rows = hex_rows(&self.bytes);
        if rows.is_empty() {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for row in rows {
            for group in &row {
                for at in group.clone().step_by(2) {
                    bytes.push(digit(self.bytes[at]) << 4 | digit(self.bytes[at + 1]));
                    starts.push(self.starts[at]);
                }
            }
            // What ends a row belongs to nothing.
            let end = row.last().map_or(0, |group| group.end);
            bytes.push(b' ');
            starts.push(self.starts[end]);
        }
        starts.push(self.starts[self.bytes.len()]);
        Some(Self { bytes, starts })
    }

    /// Replaces what `undo` reads at the beginning of a slice: `undo` returns how many bytes it read, and what they stand for.
    fn map(&self, undo: fn(&[u8]) -> Option<(usize, Undone)>) -> Self {
        let mut view = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            starts: Vec::with_capacity(self.starts.len()),
        };
        let mut at = 0;
        while at < self.bytes.len() {
            let (length, undone) =
                undo(&self.bytes[at..]).unwrap_or((1, Undone::Byte(self.bytes[at])));
            let mut push = |byte: u8| {
                view.bytes.push(byte);
                view.starts.push(self.starts[at]);
            };
            match undone {
                Undone::Nothing => {}
                Undone::Byte(byte) => push(byte),
                Undone::Char(c) => {
                    let mut buffer = [0; 4];
                    c.encode_utf8(&mut buffer).bytes().for_each(&mut push);
                }
            }
            at += length;
        }
        view.starts.push(self.starts[self.bytes.len()]);
        view
    }
}

enum Undone {
    Nothing,
    Byte(u8),
    Char(char),
}

/// Reads escapes of JSON, C and shells: `\n`, `\u00e9` (and pairs of them), `\u{e9}`, `\x41`, and a backslash before any other character.
fn backslash(text: &[u8]) -> Option<(usize, Undone)> {
    if text[0] != b'\\' {
        return None;
    }
    let next = *text.get(1)?;
    let byte = |byte| Some((2, Undone::Byte(byte)));
    match next {
        b'n' => byte(b'\n'),
        b't' => byte(b'\t'),
        b'r' => byte(b'\r'),
        b'b' => byte(8),
        b'f' => byte(12),
        b'0' if !text.get(2).is_some_and(u8::is_ascii_digit) => byte(0),
        b'x' => {
            let code = hex(text.get(2..4)?)?;
            Some((4, Undone::Byte(u8::try_from(code).ok()?)))
        }
        b'u' if text.get(2) == Some(&b'{') => {
            let end = text.iter().take(12).position(|byte| *byte == b'}')?;
            let c = char::from_u32(hex(&text[3..end])?)?;
            Some((end + 1, Undone::Char(c)))
        }
        b'u' => {
            let first = hex(text.get(2..6)?)?;
            if let Some(c) = char::from_u32(first) {
                return Some((6, Undone::Char(c)));
            }
            let second = text.get(6..8).filter(|mark| *mark == b"\\u");
            let second = second.and_then(|_| hex(text.get(8..12)?))?;
            let units = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            let c = char::decode_utf16(units).next()?.ok()?;
            Some((12, Undone::Char(c)))
        }
        other => byte(other),
    }
}

/// Reads `\303` as bash, git and C write a byte, and other escapes as [`backslash`] does. JSON has no such escapes, and a digit after a
/// backslash may be one, so this is a view of its own.
fn octal(text: &[u8]) -> Option<(usize, Undone)> {
    if text[0] != b'\\' {
        return None;
    }
    let digits = text[1..].iter().take(3);
    let digits = digits.take_while(|byte| matches!(byte, b'0'..=b'7'));
    let (count, code) = digits.fold((0, 0), |(count, code), digit| {
        (count + 1, code * 8 + u32::from(digit - b'0'))
    });
    match u8::try_from(code) {
        Ok(byte) if count > 0 => Some((1 + count, Undone::Byte(byte))),
        _ => backslash(text),
    }
}

/// Returns the rows of groups of hex digits that have at least as many bytes as a secret: the places of the digits of each group.
fn hex_rows(text: &[u8]) -> Vec<Vec<Range<usize>>> {
    let (mut rows, mut row) = (Vec::new(), Vec::<Range<usize>>::new());
    let is_long = |row: &[Range<usize>]| {
        row.len() > 1 && row.iter().map(Range::len).sum::<usize>() >= 2 * LEAST_WHOLE
    };
    let mut at = 0;
    while at < text.len() {
        let Some(group) = hex_group(text, at) else {
            // To the next place at which a group may begin.
            let is_word = |byte: &&u8| byte.is_ascii_alphanumeric();
            at += text[at..].iter().take_while(is_word).count().max(1);
            continue;
        };
        let follows = row.last();
        if follows.is_some_and(|last| !is_gap(&text[last.end..group.start])) {
            let done = std::mem::take(&mut row);
            rows.extend(is_long(&done).then_some(done));
        }
        at = group.end;
        row.push(group);
    }
    rows.extend(is_long(&row).then_some(row));
    rows
}

/// Returns the place of the digits of a group at some place, where a word begins: whole bytes, with or without a mark such as `0x`.
fn hex_group(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !text[at].is_ascii_hexdigit() {
        return None;
    }
    let start = match text.get(at..at + 2) {
        Some([b'0', b'x' | b'X']) => at + 2,
        _ => at,
    };
    let digits = text[start..].iter().take_while(|c| c.is_ascii_hexdigit());
    let end = start + digits.count();
    let is_word = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    let is_whole = end > start && (end - start) % 2 == 0 && !is_word;
    is_whole.then_some(start..end)
}

/// Says whether some bytes are what stands between two groups: blanks, a mark, and `0x`.
fn is_gap(between: &[u8]) -> bool {
    let between = match between {
        [start @ .., b'0', b'x' | b'X'] => start,
        all => all,
    };
    let is_mark = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b':' | b',' | b'-');
    (1..=LONGEST_GAP).contains(&between.len()) && between.iter().all(is_mark)
}

fn percent(text: &[u8]) -> Option<(usize, Undone)> {
    if text[0] != b'%' {
        return None;
    }
    let code = hex(text.get(1..3)?)?;
    Some((3, Undone::Byte(u8::try_from(code).ok()?)))
}

/// Reads entities of XML and HTML.
fn entity(text: &[u8]) -> Option<(usize, Undone)> {
    if text[0] != b'&' {
        return None;
    }
    let end = text.iter().take(12).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&text[1..end]).ok()?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => digits.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((end + 1, Undone::Char(c)))
}

/// Reads a line break in base64 or hex of several lines, which may be indented.
fn line_break(text: &[u8]) -> Option<(usize, Undone)> {
    if !matches!(text[0], b'\n' | b'\r') {
        return None;
    }
    let is_space = |byte: &&u8| matches!(byte, b'\n' | b'\r' | b' ' | b'\t');
    let length = text.iter().take_while(is_space).count();
    Some((length, Undone::Nothing))
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}
