//! PEM, the text form of DER: reads strictly, and writes 64 characters a line.

use data_encoding::BASE64;

/// Returns the blocks of a PEM text with these labels, or why it is not a text of only such blocks.
///
/// Text before, between and after blocks must be blank, since AWS refuses anything else in an import. The begin and end
/// markers of a block must each be on a line of their own, as other readers require.
pub(crate) fn blocks(text: &[u8], labels: &[&str]) -> Result<Vec<Vec<u8>>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not PEM text")?;
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let after = rest
            .strip_prefix("-----BEGIN ")
            .ok_or("it is not PEM text")?;
        let (label, after) = after.split_once("-----").ok_or("a PEM header has no end")?;
        if !after.starts_with(['\n', '\r']) {
            return Err("a PEM header does not end its line");
        }
        if !labels.contains(&label) {
            return Err("a PEM block has the wrong label");
        }
        let (body, after) = after
            .split_once(&format!("-----END {label}-----"))
            .ok_or("a PEM block has no end")?;
        let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        found.push(
            BASE64
                .decode(packed.as_bytes())
                .map_err(|_| "a PEM block is not base64")?,
        );
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err("a PEM block does not end its line");
        }
        rest = after.trim_start();
    }
    Ok(found)
}

/// Writes a block, without a line end after it.
pub(crate) fn block(label: &str, der: &[u8]) -> String {
    let encoded = BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----"));
    text
}

/// Writes certificates one after the other, without a line end after the last, as AWS returns a chain.
pub(crate) fn chain<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> String {
    certificates
        .into_iter()
        .map(|der| block("CERTIFICATE", der))
        .collect::<Vec<_>>()
        .join("\n")
}
