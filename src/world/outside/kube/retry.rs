//! Decides how long and with which pauses failed requests to an API server are retried.

use std::time::Duration;

use tokio::time::Instant;

use crate::outside::{backoff, jitter};

/// An API server that restarts, or fails over to another control-plane node, is back within this time.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, so that a recovered server is noticed soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The pauses between the attempts of one request.
#[derive(Debug)]
pub(super) struct Pauses {
    taken: u32,
    until: Instant,
}

impl Pauses {
    pub fn new(patience: Duration) -> Self {
        Self {
            taken: 0,
            until: Instant::now() + patience,
        }
    }

    /// Returns the pause before the next attempt: at least what the server asks for (`Retry-After`), otherwise twice the pause before,
    /// with jitter. `None` if the time limit has passed, or would pass before the server wants another request.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.taken += 1;
        let own = backoff(FIRST_PAUSE..=LONGEST_PAUSE, self.taken, jitter());
        match asked {
            _ if left.is_zero() => None,
            Some(asked) if asked > left => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own.min(left)),
        }
    }
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
