//! The clock of the server, which tests can replace.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windlass_ground::milliseconds;

/// A point in time in milliseconds since 1970.
pub(crate) type Moment = i64;

/// A clock: the machine's own, or one that moves only when it is advanced.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// Returns the machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// Returns a clock that starts at the machine's time and stands still until [`advance`](Self::advance).
    pub fn manual() -> Self {
        Self(Some(Arc::new(AtomicI64::new(machine()))))
    }

    /// Moves a manual clock, and every clone of it, forward. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(moment) = &self.0 {
            moment.fetch_add(milliseconds(by), Ordering::SeqCst);
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.0
            .as_ref()
            .map_or_else(machine, |moment| moment.load(Ordering::SeqCst))
    }
}

/// Returns when something is ready that takes this long. Without a delay it always is, also if the clock is set back later.
pub(crate) fn ready_after(now: Moment, delay: Duration) -> Moment {
    if delay.is_zero() {
        0
    } else {
        now.saturating_add(milliseconds(delay))
    }
}

fn machine() -> Moment {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_no_time_is_ready_on_any_clock() {
        let (now, earlier) = (1_000_000, 0);
        assert!(ready_after(now, Duration::ZERO) <= earlier);
        assert_eq!(ready_after(now, Duration::from_secs(2)), 1_002_000);
    }
}
