//! How long trouble of an API server is ridden out, and at which pace.

use std::time::Duration;

use tokio::time::Instant;

/// An API server that restarts, or fails over to another control-plane node, is back within this time.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, so that a server which is back is seen soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The pauses between the attempts of one request.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    until: Instant,
}

impl Pauses {
    pub fn new(patience: Duration) -> Self {
        Self {
            next: FIRST_PAUSE,
            until: Instant::now() + patience,
        }
    }

    /// Gives the pause before the next attempt: at least what the server asked for (`Retry-After`), else twice the one
    /// before, with jitter. `None` once patience is used up, or would be before the server wants to be asked again.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        let own = self.next.mul_f64(0.5 + jitter() / 2.0);
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        match asked {
            _ if left.is_zero() => None,
            Some(asked) if asked > left => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own.min(left)),
        }
    }
}

/// A number from 0 to 1. Clients that were cut off together must not come back together.
fn jitter() -> f64 {
    let mut byte = [u8::MAX];
    // Without randomness the pause is the whole one.
    aws_lc_rs::rand::fill(&mut byte).unwrap_or_default();
    f64::from(byte[0]) / f64::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_pauses_grow_and_end_with_patience() {
        let mut pauses = Pauses::new(PATIENCE);
        let first = pauses.next(None).expect("there is patience");
        assert!(
            first >= FIRST_PAUSE / 2 && first <= FIRST_PAUSE,
            "{first:?}"
        );
        for _ in 0..9 {
            let pause = pauses.next(None).expect("there is patience");
            assert!(pause <= LONGEST_PAUSE, "{pause:?}");
        }
        assert!(pauses.next(None).expect("there is patience") >= LONGEST_PAUSE / 2);
        assert_eq!(Pauses::new(Duration::ZERO).next(None), None);
    }

    #[test]
    fn h2_a_retry_after_is_kept_to() {
        let second = Duration::from_secs(1);
        assert_eq!(Pauses::new(PATIENCE).next(Some(second)), Some(second));
        let minute = Duration::from_secs(60);
        assert_eq!(Pauses::new(PATIENCE).next(Some(minute)), None);
    }
}
