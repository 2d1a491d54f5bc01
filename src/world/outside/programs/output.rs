//! The output of a program, and how much of it is kept.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The output is stored in the journal, which takes 1 MiB for a call including everything around it.
const MAX_OUTPUT_BYTES: usize = 448 << 10;
/// How much of both streams a failure contains: as much as a person may scroll through.
const MAX_SAID_BYTES: usize = 64 << 10;

/// One stream of a program: its beginning, and also its end if that is not everything.
#[derive(Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
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

    /// Returns all of it, unless it exceeds the limit.
    pub fn whole(&self) -> Option<Vec<u8>> {
        (self.bytes <= MAX_OUTPUT_BYTES as u64).then(|| self.head.clone())
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = MAX_OUTPUT_BYTES - self.head.len();
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let too_many = self.tail.len().saturating_sub(MAX_SAID_BYTES);
        self.tail.drain(..too_many);
    }

    /// Returns the end of it as text, in about `most` bytes. It begins with a whole line, or at least with a whole word: a part of a
    /// secret would not be recognised.
    fn end(&self, most: usize) -> String {
        let from_head = most.saturating_sub(self.tail.len()).min(self.head.len());
        let mut bytes = self.head[self.head.len() - from_head..].to_vec();
        bytes.extend(self.tail.iter().skip(self.tail.len().saturating_sub(most)));
        let left_out = self.bytes - bytes.len() as u64;
        if left_out == 0 {
            return String::from_utf8_lossy(&bytes).trim_end().to_owned();
        }
        let cut = bytes
            .iter()
            .position(|b| *b == b'\n')
            .or_else(|| bytes.iter().position(u8::is_ascii_whitespace))
            .map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&bytes[cut..]);
        format!(
            "… ({} bytes before)\n{}",
            left_out + cut as u64,
            text.trim_end()
        )
    }
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
    fn what_is_too_much_is_not_whole() {
        let text = "x".repeat(MAX_OUTPUT_BYTES);
        assert_eq!(
            printed(&text).whole().map(|all| all.len()),
            Some(text.len())
        );
        assert_eq!(printed(&(text + "x")).whole(), None);
    }
}
