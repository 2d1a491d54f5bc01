use std::time::Duration;

use super::Timestamp;

/// How long to wait before something that failed is repeated.
const SOON: Duration = Duration::from_secs(5);

/// Says when to repeat what is done once in each period.
///
/// It goes by the clock that it is given, and bears that clock being set: a next time that is further away than a period was
/// worked out before the clock was set back, and counts as reached.
pub struct Every {
    period: Duration,
    next_at: Timestamp,
}

impl Every {
    /// Begins with a time that has been reached.
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            next_at: Timestamp::EPOCH,
        }
    }

    /// Begins with a time that is a period after `now`.
    pub fn after(now: Timestamp, period: Duration) -> Self {
        Self {
            period,
            next_at: now + period,
        }
    }

    /// Does something if the next time has been reached, and returns how that went. What failed is repeated soon, not after a whole
    /// period.
    pub fn when_due<T, E>(
        &mut self,
        now: Timestamp,
        what: impl FnOnce() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let done = self.is_due(now).then(what)?;
        if done.is_err() {
            self.next_at = now + self.period.min(SOON);
        }
        Some(done)
    }

    /// Says whether the next time has been reached. If so, the one after it is a period later than `now`.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        let is_due = now.has_reached(self.next_at, self.period);
        if is_due {
            self.next_at = now + self.period;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    #[test]
    fn it_is_due_once_in_a_period() {
        let mut every = Every::new(MINUTE);
        let at = [0, 1, 59, 60, 61, 119, 120, 500, 559];
        let due = at.map(|seconds| every.is_due(NOW + Duration::from_secs(seconds)));
        assert_eq!(
            due,
            [true, false, false, true, false, false, true, true, false]
        );
        let mut every = Every::after(NOW, MINUTE);
        assert!(!every.is_due(NOW));
        assert!(every.is_due(NOW + MINUTE));
    }

    #[test]
    fn what_failed_is_repeated_soon() {
        let mut every = Every::new(MINUTE);
        let results = [Err("locked"), Err("locked"), Ok(()), Ok(())];
        let mut at = Vec::new();
        let mut left = results.iter();
        for seconds in 0..100 {
            let now = NOW + Duration::from_secs(seconds);
            if every
                .when_due(now, || left.next().copied().unwrap_or(Ok(())))
                .is_some()
            {
                at.push(seconds);
            }
        }
        assert_eq!(at, [0, 5, 10, 70]);
    }

    #[test]
    fn a_clock_that_was_wrong_stops_nothing() {
        let mut every = Every::new(MINUTE);
        assert!(every.is_due(NOW + Duration::from_hours(24 * 400)));
        assert!(every.is_due(NOW));
        assert!(!every.is_due(NOW + Duration::from_secs(1)));
        assert!(every.is_due(NOW + MINUTE));
    }
}
