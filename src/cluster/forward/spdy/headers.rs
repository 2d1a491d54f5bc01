use std::{io, sync::LazyLock};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The largest size of a decompressed block of headers, in bytes; those of port-forward have about a hundred.
const LARGEST: usize = 64 << 10;

/// The first part of the compression dictionary (section 2.6.10.1 of the draft): words, each preceded by its length.
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];
/// The second part of the dictionary, without lengths.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
    404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable\
    Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
    chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,\
    text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut dictionary = Vec::new();
    for word in WORDS {
        put(&mut dictionary, word);
    }
    dictionary.extend(TEXT.as_bytes());
    dictionary
});

/// Lower-case names with their values.
pub(super) type Headers = Vec<(String, String)>;

/// Returns the value of a header.
pub(super) fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known == name)?;
    Some(&found.1)
}

/// Compresses the header blocks of one direction of a connection.
pub(super) struct Deflate(Compress);

/// Decompresses the header blocks of one direction of a connection.
pub(super) struct Inflate(Decompress);

impl Deflate {
    pub fn new() -> Self {
        let mut compress = Compress::new(Compression::default(), true);
        let set = compress.set_dictionary(&DICTIONARY);
        set.expect("a new compressor accepts a dictionary");
        Self(compress)
    }

    /// Compresses a block and flushes it, so that it can be read at once.
    pub fn block(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        plain.extend((headers.len() as u32).to_be_bytes());
        for (name, value) in headers {
            put(&mut plain, name);
            put(&mut plain, value);
        }
        let mut out = Vec::with_capacity(plain.len() + 64);
        let mut rest = &plain[..];
        loop {
            let before = self.0.total_in();
            let status = self.0.compress_vec(rest, &mut out, FlushCompress::Sync)?;
            rest = &rest[(self.0.total_in() - before) as usize..];
            if rest.is_empty() && (out.len() < out.capacity() || status == Status::BufError) {
                return Ok(out);
            }
            out.reserve(out.len().max(64));
        }
    }
}

impl Inflate {
    pub fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// Reads a block.
    ///
    /// # Errors
    /// The block is malformed or too large.
    pub fn block(&mut self, block: &[u8]) -> io::Result<Headers> {
        let mut plain = Vec::with_capacity(1024);
        let mut rest = block;
        loop {
            let before = self.0.total_in();
            let read = self
                .0
                .decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            rest = &rest[(self.0.total_in() - before) as usize..];
            match read {
                Ok(_) if plain.len() < plain.capacity() => break,
                Ok(_) if plain.len() > LARGEST => {
                    return Err(damaged("a block of headers is too large"));
                }
                Ok(_) => plain.reserve(plain.len()),
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        parse(&plain).ok_or_else(|| damaged("a block of headers is damaged"))
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text.as_bytes());
}

fn parse(plain: &[u8]) -> Option<Headers> {
    let (count, mut rest) = number(plain)?;
    let mut headers = Headers::new();
    for _ in 0..count {
        let mut text = || {
            let (length, after) = number(rest)?;
            let (text, after) = after.split_at_checked(length as usize)?;
            rest = after;
            String::from_utf8(text.to_vec()).ok()
        };
        headers.push((text()?, text()?));
    }
    rest.is_empty().then_some(headers)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

pub(super) fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        owned.collect()
    }

    /// Checks the length, and the checksum that is in the first bytes of every SPDY connection.
    #[test]
    fn the_dictionary_is_that_of_the_draft() {
        assert_eq!(DICTIONARY.len(), 1423);
        let block = Deflate::new().block(&headers(&[])).unwrap();
        assert_eq!(block[2..6], [0xe3, 0xc6, 0xa7, 0xc2]);
    }

    #[test]
    fn blocks_share_one_state() {
        let (mut deflate, mut inflate) = (Deflate::new(), Inflate::new());
        let mut sizes = Vec::new();
        for id in ["0", "1", "2"] {
            let sent = headers(&[
                ("streamtype", "error"),
                ("port", "15012"),
                ("requestid", id),
            ]);
            let block = deflate.block(&sent).unwrap();
            sizes.push(block.len());
            assert_eq!(inflate.block(&block).unwrap(), sent);
        }
        assert!(
            sizes[1] < sizes[0],
            "the second block refers to the first: {sizes:?}"
        );
        let long = headers(&[("a", &"xyz".repeat(9000))]);
        let block = deflate.block(&long).unwrap();
        assert_eq!(inflate.block(&block).unwrap(), long);
        // A block can't be read without the blocks before it.
        let late = deflate.block(&headers(&[("port", "1")])).unwrap();
        assert!(Inflate::new().block(&late).is_err());
    }

    #[test]
    fn a_damaged_block_is_refused() {
        assert!(Inflate::new().block(b"no zlib").is_err());
        let bomb = headers(&[("a", &"x".repeat(200_000))]);
        let block = Deflate::new().block(&bomb).unwrap();
        assert!(block.len() < 1000);
        assert!(Inflate::new().block(&block).is_err());
        assert_eq!(parse(&[0, 0, 0, 1, 0, 0, 0, 9, b'x']), None);
        assert_eq!(parse(&[0, 0, 0, 0, 1]), None);
    }
}
