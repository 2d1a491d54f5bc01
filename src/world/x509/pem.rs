//! Reads and writes PEM, once for the whole program.
//!
//! The reader follows OpenSSL's `PEM_read_bio`: text around blocks is skipped, in any encoding; a byte order mark before a block, CRLF and
//! blanks at the end of a line are allowed. It never skips a block that it can't read: what OpenSSL would reject, and every line that
//! looks like the begin or end of a block but is not, is an error with the number of the block and the
//! line.

use data_encoding::BASE64;

/// One block of a PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// `CERTIFICATE`, `EC PRIVATE KEY`, …
    pub label: String,
    /// The content: the DER, unless it is encrypted.
    pub content: Vec<u8>,
    /// Counts from 1, over the blocks of every label.
    pub number: usize,
    /// Where it begins; counts from 1.
    pub line: usize,
    /// The lines before its content (RFC 1421), as old encrypted keys have them.
    pub headers: Vec<String>,
}

/// The reason why a text can't be read as PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error(
        "block {number} of the text ({label}, from line {begins}) can't be read: line {line} {why}"
    )]
    Block {
        number: usize,
        label: String,
        begins: usize,
        line: usize,
        why: String,
    },
    #[error("line {line} of the text {why}")]
    Text { line: usize, why: &'static str },
    #[error("the text is not PEM: {0}")]
    NotPem(&'static str),
    #[error("there is no {wanted} in the text, but {found}")]
    Missing { wanted: &'static str, found: String },
}

/// The labels of certificates that OpenSSL reads.
const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", TRUSTED];
/// A certificate with OpenSSL's notes on what it is trusted for after it.
const TRUSTED: &str = "TRUSTED CERTIFICATE";
/// Containers of certificates: skipping one would lose them.
const CONTAINERS: [&str; 3] = ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"];
pub(super) const REQUESTS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// OpenSSL reads longer lines in pieces, and treats each later piece as a new line.
const LONGEST_LINE: usize = 253;

/// Reads every block of a text.
///
/// # Errors
/// A damaged, truncated or joined block, or a line that looks like the begin or end of one.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    if let Some(why) = not_text(text) {
        return Err(PemError::NotPem(why));
    }
    let mut reader = Reader::default();
    // A mark is only allowed where OpenSSL looks for it: before a line that may begin a block, not within text.
    let mut may_be_marked = true;
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for (index, raw) in text.split(|byte| *byte == b'\n').enumerate() {
        let raw = match raw.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if may_be_marked && reader.open.is_none() => rest,
            _ => raw,
        };
        may_be_marked = reader.line(index + 1, raw)?;
    }
    reader.finish(text.split(|byte| *byte == b'\n').count())
}

/// Reads the certificates of a text, in order, and skips keys and other blocks.
///
/// # Errors
/// The same as of [`blocks`]; also a text without a certificate, or with a container of certificates.
pub fn certificates(text: &[u8]) -> Result<Vec<Block>, PemError> {
    let mut all = blocks(text)?;
    if let Some(container) = all.iter().find(|b| CONTAINERS.contains(&b.label.as_str())) {
        return Err(container.error(
            container.line,
            "begins a container, which may hold certificates; `openssl pkcs7 -print_certs` prints them",
        ));
    }
    if !all.iter().any(Block::is_certificate) {
        return Err(missing("certificate", &all));
    }
    all.retain(Block::is_certificate);
    for block in &mut all {
        if !block.headers.is_empty() {
            return Err(block.error(block.line + 1, "is a header, which no certificate has"));
        }
        if block.label == TRUSTED {
            let length = element_length(&block.content);
            block.content.truncate(length.unwrap_or(usize::MAX));
        }
    }
    Ok(all)
}

/// Reads the only certificate signing request of a text.
///
/// # Errors
/// The same as of [`blocks`]; also a text with no request, or with several.
pub fn request(text: &[u8]) -> Result<Block, PemError> {
    let all = blocks(text)?;
    let mut requests = all
        .iter()
        .filter(|block| REQUESTS.contains(&block.label.as_str()));
    match (requests.next(), requests.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(second)) => {
            Err(second.error(second.line, "begins a second request, and one is wanted"))
        }
        (None, _) => Err(missing("certificate signing request", &all)),
    }
}

/// Writes one block, with 64 characters a line and a line end after the last.
pub fn encode(label: &str, content: &[u8]) -> String {
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for line in BASE64.encode(content).as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("{END}{label}{DASHES}\n"));
    text
}

pub(super) fn missing(wanted: &'static str, found: &[Block]) -> PemError {
    if found.is_empty() {
        return PemError::NotPem("it has no line `-----BEGIN …-----`");
    }
    let labels: Vec<_> = found.iter().map(|block| block.label.as_str()).collect();
    PemError::Missing {
        wanted,
        found: labels.join(", "),
    }
}

impl Block {
    fn is_certificate(&self) -> bool {
        CERTIFICATES.contains(&self.label.as_str())
    }

    /// Returns an error about this block.
    pub(super) fn error(&self, line: usize, why: &str) -> PemError {
        PemError::Block {
            number: self.number,
            label: self.label.clone(),
            begins: self.line,
            line,
            why: why.into(),
        }
    }
}

/// Hides the content, because keys are blocks, too.
impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {} ({})", self.number, self.label)
    }
}

/// The state of the reader.
#[derive(Default)]
struct Reader {
    done: Vec<Block>,
    open: Option<Open>,
}

/// A block whose end has not been read.
struct Open {
    /// Its content is still empty.
    block: Block,
    base64: String,
    /// Whether an empty line ended its headers.
    has_blank: bool,
}

impl Reader {
    /// Reads the next line; returns whether a byte order mark may begin the line after it.
    fn line(&mut self, number: usize, raw: &[u8]) -> Result<bool, PemError> {
        let line = raw.trim_ascii_end();
        let Some(open) = &mut self.open else {
            let label = begin(line, number)?;
            self.open = label.map(|label| Open {
                block: Block {
                    label,
                    content: Vec::new(),
                    number: self.done.len() + 1,
                    line: number,
                    headers: Vec::new(),
                },
                base64: String::new(),
                has_blank: false,
            });
            return Ok(false);
        };
        if !line.starts_with(b"-----") {
            open.content(number, line)?;
            return Ok(false);
        }
        let end = format!("{END}{}{DASHES}", open.block.label);
        if line != end.as_bytes() {
            let why = match line.strip_prefix(end.as_bytes()) {
                Some(rest) if rest.starts_with(b"-----BEGIN") => {
                    "joins the end of the block and the begin of the next; put a line break between them"
                }
                Some(_) => "has more after the end of the block",
                None if line.starts_with(BEGIN.as_bytes()) => {
                    "begins another block before this one has ended"
                }
                None => "is not the end of this block",
            };
            return Err(open.block.error(number, why));
        }
        let Some(open) = self.open.take() else {
            return Ok(false);
        };
        self.done.push(open.close(number)?);
        Ok(true)
    }

    fn finish(self, last: usize) -> Result<Vec<Block>, PemError> {
        match self.open {
            Some(open) => Err(open
                .block
                .error(last, "is the last, and the block has no end")),
            None => Ok(self.done),
        }
    }
}

impl Open {
    fn content(&mut self, number: usize, line: &[u8]) -> Result<(), PemError> {
        let blanks = line.iter().take_while(|byte| b" \t".contains(byte)).count();
        let line = &line[blanks..];
        let is_header = line.contains(&b':') || (!self.block.headers.is_empty() && !self.has_blank);
        if line.is_empty() {
            if !self.base64.is_empty() || self.has_blank {
                return Err(self.block.error(number, "is empty, within the block"));
            }
            self.has_blank = true;
        } else if is_header && self.base64.is_empty() && !self.has_blank {
            let header = String::from_utf8_lossy(line).into_owned();
            self.block.headers.push(header);
        } else {
            let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
            if !line.iter().all(is_base64) || self.base64.ends_with('=') {
                return Err(self.block.error(number, "is not base64"));
            }
            // OpenSSL counts the characters of lines that come after an empty one.
            let is_short = !self.base64.is_empty() && !self.base64.len().is_multiple_of(64);
            if self.has_blank && (line.len() > 64 || is_short) {
                return Err(self.block.error(
                    number,
                    "is not in lines of 64 characters, after an empty one",
                ));
            }
            self.base64
                .extend(line.iter().map(|byte| char::from(*byte)));
        }
        Ok(())
    }

    fn close(self, number: usize) -> Result<Block, PemError> {
        let mut block = self.block;
        if self.base64.is_empty() {
            return Err(block.error(number, "ends the block, which is empty"));
        }
        block.content = BASE64.decode(self.base64.as_bytes()).map_err(|_| {
            let why = "ends the block, whose base64 is cut off or has lost characters";
            block.error(number, why)
        })?;
        Ok(block)
    }
}

/// Returns the label of the block that a line begins, if it begins one.
fn begin(line: &[u8], number: usize) -> Result<Option<String>, PemError> {
    let label = line
        .strip_prefix(BEGIN.as_bytes())
        .and_then(|rest| rest.strip_suffix(DASHES.as_bytes()))
        .and_then(|label| std::str::from_utf8(label).ok())
        .filter(|label| !label.contains("--") && line.len() <= LONGEST_LINE);
    if let Some(label) = label {
        return Ok(Some(label.to_owned()));
    }
    // A block that was commented out, line by line, is text.
    let is_comment = line.starts_with(b"#") && line.len() <= LONGEST_LINE;
    if !is_comment && looks_like_a_boundary(line) {
        Err(PemError::Text {
            line: number,
            why: "looks like the begin or end of a block, and is none: `-----BEGIN LABEL-----` stands alone on its line, \
              with five dashes on each side, and each begin has an end",
        })
    } else {
        Ok(None)
    }
}

fn looks_like_a_boundary(line: &[u8]) -> bool {
    let line = line.trim_ascii_start().to_ascii_uppercase();
    let has = |marks: &[&[u8]]| {
        let is_in = |mark: &&[u8]| line.windows(mark.len()).any(|part| part == *mark);
        marks.iter().any(is_in)
    };
    // "front-end" in a comment is not a boundary.
    has(&[b"--BEGIN", b"--END", b"-- BEGIN", b"-- END"])
        || (line.starts_with(b"-") && has(&[b"BEGIN ", b"END "]))
}

/// Describes a text that can't be PEM.
fn not_text(text: &[u8]) -> Option<&'static str> {
    if text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF") {
        return Some("it is in UTF-16; save it as UTF-8");
    }
    if text.starts_with(b"\x30\x80")
        || text.starts_with(b"\x30\x81")
        || text.starts_with(b"\x30\x82")
    {
        return Some("it is DER; `openssl x509 -inform der` converts a certificate");
    }
    text.contains(&0).then_some("it holds zero bytes")
}

/// Returns the length of the element at the start of some DER, including its header.
fn element_length(der: &[u8]) -> Option<usize> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return Some(2 + first);
    }
    let bytes = der.get(2..2 + (first & 0x7F))?;
    let length = bytes.iter().try_fold(0_usize, |sum, byte| {
        sum.checked_mul(256)?.checked_add(usize::from(*byte))
    })?;
    length.checked_add(2 + bytes.len())
}
