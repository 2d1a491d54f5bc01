//! The chain that links each event to the one before.

use std::borrow::Cow;

use super::{id::RunId, seal::begin_of_sealed};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// The current format of the chain, which decides what the first event is linked to.
///
/// Format 2 (journals up to version 2): to nothing. Format 3: to the format and the run's id, so that the events of one run
/// can't pass as those of another. The digest includes the number of each event, so the newest digest stands for the id, the
/// format, the number of events and every event.
pub(super) const CHAIN: u32 = 3;

/// Returns the digest that the first event of a new run is linked to.
pub fn chain_start(run: &RunId) -> Digest {
    start(CHAIN, run)
}

/// Returns the digest that the first event of a run is linked to in this format.
pub(super) fn start(format: u32, run: &RunId) -> Digest {
    match format {
        ..=2 => Digest::ZERO,
        format => Digest::of(&[
            b"windlass-journal",
            &format.to_be_bytes(),
            run.as_str().as_bytes(),
        ]),
    }
}

/// Returns the format of a chain whose first event has this digest; `link` computes that digest from a start. A run that
/// Restate has kept since before format 3 keeps its format.
pub(super) fn format_of(run: &RunId, first: Digest, link: impl Fn(Digest) -> Digest) -> u32 {
    if link(start(2, run)) == first {
        2
    } else {
        CHAIN
    }
}

/// Digests an event with the one before it.
///
/// A sealed secret is represented by the digest of its ciphertext, so that a reader of the events who does not have the
/// secret can verify the chain.
pub(super) fn link(previous: Digest, seq: u64, at: Timestamp, body: &str) -> Digest {
    link_redacted(previous, seq, at, &redact(body))
}

/// Like [`link`], for a body that is redacted already.
pub(super) fn link_redacted(previous: Digest, seq: u64, at: Timestamp, body: &str) -> Digest {
    Digest::of(&[
        previous.as_bytes(),
        &seq.to_be_bytes(),
        &at.as_millis().to_be_bytes(),
        body.as_bytes(),
    ])
}

/// Replaces each sealed secret by its digest.
///
/// A user's text can't look like a sealed secret: its quotes are escaped in JSON, and a user's key that begins with `$` is stored
/// with another `$` before it.
pub(super) fn redact(body: &str) -> Cow<'_, str> {
    let mark = begin_of_sealed();
    if !body.contains(&mark) {
        return Cow::Borrowed(body);
    }
    let mut redacted = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find(&mark) {
        let (before, sealed) = rest.split_at(at + mark.len());
        let end = sealed.find('"').unwrap_or(sealed.len());
        redacted.push_str(before);
        redacted.push_str("sha256:");
        redacted.push_str(&Digest::of_content(&sealed.as_bytes()[..end]).to_string());
        rest = &sealed[end..];
    }
    redacted.push_str(rest);
    Cow::Owned(redacted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_count_by_their_digest() {
        let body =
            r#"{"a":{"$secret":"QUJD"},"b":"\"{\"$secret\":\"x\"","c":[{"$secret":"REVG"}]}"#;
        let redacted = redact(body);
        assert!(!redacted.contains("QUJD") && !redacted.contains("REVG"));
        assert_eq!(redacted.matches("sha256:").count(), 2);
        let (zero, seq, at) = (Digest::ZERO, 3, Timestamp::from_millis(9));
        assert_eq!(
            link(zero, seq, at, body),
            link_redacted(zero, seq, at, &redacted)
        );
        assert_ne!(
            link(zero, seq, at, body),
            link(zero, seq, at, &body.replace("QUJD", "QUJE"))
        );
        assert_eq!(redact("{}"), "{}");
    }
}
