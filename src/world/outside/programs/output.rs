//! The output of a program, and how much of it is kept.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The output is stored in the journal, which takes 1 MiB for a call including everything around it.
const MAX_OUTPUT_BYTES: usize = 448 << 10;
/// How much of both streams a failure contains: as much as a person may scroll through.
const MAX_SAID_BYTES: usize = 64 << 10;

/// The end of one stream of a program, of which only so much is kept.
#[derive(Default)]
pub(super) struct Output {
    kept: VecDeque<u8>,
    /// The number of all bytes that were printed.
    bytes: u64,
}

impl Output {
    /// Reads to the end. Output beyond the limit is read as well: the program must not fail because of its output.
    pub async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; 16 << 10];
        loop {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => self.push(&buffer[..length]),
            }
        }
    }

    /// Returns what is kept, and whether that is everything.
    pub fn kept(&self) -> (Vec<u8>, bool) {
        let is_whole = self.bytes == self.kept.len() as u64;
        let mut kept: Vec<u8> = self.kept.iter().copied().collect();
        if !is_whole {
            kept.drain(..start_of_whole(&kept));
        }
        (kept, is_whole)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.kept.extend(bytes);
        let too_many = self.kept.len().saturating_sub(MAX_OUTPUT_BYTES);
        self.kept.drain(..too_many);
    }

    /// Returns the end of it as text, in about `most` bytes.
    fn end(&self, most: usize) -> String {
        let skipped = self.kept.len().saturating_sub(most);
        let bytes: Vec<u8> = self.kept.iter().skip(skipped).copied().collect();
        let left_out = self.bytes - bytes.len() as u64;
        if left_out == 0 {
            return String::from_utf8_lossy(&bytes).trim_end().to_owned();
        }
        let cut = start_of_whole(&bytes);
        let text = String::from_utf8_lossy(&bytes[cut..]);
        format!(
            "… ({} bytes before)\n{}",
            left_out + cut as u64,
            text.trim_end()
        )
    }
}

/// Keeps the last `most` bytes of an output that was kept.
pub(super) fn keep_last(kept: &mut Vec<u8>, most: usize) {
    let too_many = kept.len().saturating_sub(most);
    if too_many > 0 {
        kept.drain(..too_many);
        kept.drain(..start_of_whole(kept));
    }
}

/// Returns where the first whole line begins in an output that was cut, or at least the first whole word: a part of a secret would not be
/// recognised. If there is none in its first half, it is the first whole character.
fn start_of_whole(bytes: &[u8]) -> usize {
    let first_half = &bytes[..bytes.len() / 2];
    let after = |at: usize| at + 1;
    let is_inside = |byte: &&u8| **byte & 0xC0 == 0x80;
    first_half
        .iter()
        .position(|b| *b == b'\n')
        .or_else(|| first_half.iter().position(u8::is_ascii_whitespace))
        .map_or_else(|| bytes.iter().take(3).take_while(is_inside).count(), after)
}

/// Returns the output of a program before it failed: the last 64 KiB of both streams together, errors last.
pub(super) fn said(out: &Output, err: &Output) -> String {
    let (printed, failed) = (out.bytes as usize, err.bytes as usize);
    // What one stream does not need is available to the other.
    let share = |other: usize| MAX_SAID_BYTES - other.min(MAX_SAID_BYTES / 2);
    let (out, err) = (out.end(share(failed)), err.end(share(printed)));
    match (out.as_str(), err.as_str()) {
        ("", "") => "it printed nothing".into(),
        ("", err) => err.into(),
        (out, "") => format!("it printed no error, only this:\n{out}"),
        (out, err) => format!("stdout:\n{out}\nstderr:\n{err}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Output {
        let mut output = Output::default();
        text.as_bytes()
            .chunks(1000)
            .for_each(|part| output.push(part));
        output
    }

    #[test]
    fn d4_the_end_of_both_streams_is_kept() {
        let lines = |what: &str, most: usize| {
            (0..most)
                .map(|i| format!("{what} {i}\n"))
                .collect::<String>()
        };
        assert_eq!(said(&printed(""), &printed("")), "it printed nothing");
        assert_eq!(said(&printed(""), &printed("no\nway\n")), "no\nway");
        assert_eq!(
            said(&printed("a\n"), &printed("b\n")),
            "stdout:\na\nstderr:\nb"
        );
        let long = said(
            &printed(&lines("out", 100_000)),
            &printed(&lines("err", 100_000)),
        );
        assert!(long.len() > 60_000 && long.len() < 66_000, "{}", long.len());
        assert!(long.contains("\nout 99999\nstderr:\n") && long.ends_with("\nerr 99999"));
        let loud = said(&printed(&lines("out", 100_000)), &printed("err\n"));
        assert!(loud.len() > 60_000 && loud.len() < 66_000, "{}", loud.len());
        assert!(loud.ends_with("stderr:\nerr"));
        let quiet = said(&printed("out\n"), &printed(&lines("err", 100_000)));
        assert!(
            quiet.len() > 60_000 && quiet.len() < 66_000,
            "{}",
            quiet.len()
        );
        assert!(quiet.starts_with("stdout:\nout\nstderr:\n… ("));
    }

    #[test]
    fn of_too_much_the_end_is_kept() {
        let text = "x".repeat(MAX_OUTPUT_BYTES);
        assert_eq!(printed(&text).kept(), (text.clone().into_bytes(), true));
        let (kept, is_whole) = printed(&(text + "y")).kept();
        assert!(kept.ends_with(b"xy") && kept.len() == MAX_OUTPUT_BYTES);
        assert!(!is_whole);
        // It begins with a whole line, and never within a character.
        let lines: String = (0..200_000).map(|i| format!("line {i}\n")).collect();
        let (kept, is_whole) = printed(&lines).kept();
        assert!(kept.starts_with(b"line ") && kept.ends_with(b"line 199999\n"));
        assert!(!is_whole);
        let (kept, _) = printed(&"é".repeat(MAX_OUTPUT_BYTES)).kept();
        assert!(String::from_utf8(kept).is_ok());
        let mut kept = lines.into_bytes();
        keep_last(&mut kept, 30);
        assert_eq!(kept, b"line 199998\nline 199999\n");
    }
}
