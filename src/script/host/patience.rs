use std::time::Duration;

/// Limits how long a wait lasts.
///
/// A long wait consists of many looks, and each look is an effect: so the wait survives a restart, and a cancel can interrupt it.
/// Only looks that are really made count. A resumed step replays the recorded looks, and then waits for the full
/// time again. The result of the last look ends the wait, so a replay ends in the same way.
pub(super) struct Patience {
    pub whole: Duration,
    left: Duration,
}

impl Patience {
    pub fn new(whole: Duration) -> Self {
        Self { whole, left: whole }
    }

    /// Subtracts the time of one look, or of the pause before it. Returns how much of that time may be used, and whether none is
    /// left afterwards.
    pub fn take(&mut self, time: Duration, is_replayed: bool) -> (Duration, bool) {
        let time = time.min(self.left);
        if !is_replayed {
            self.left -= time;
        }
        (time, self.left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replayed_uses_nothing_up() {
        let mut patience = Patience::new(Duration::from_secs(25));
        let ten = Duration::from_secs(10);
        for _ in 0..9 {
            assert_eq!(patience.take(ten, true), (ten, false));
        }
        assert_eq!(patience.take(ten, false), (ten, false));
        assert_eq!(patience.take(ten, false), (ten, false));
        assert_eq!(patience.take(ten, false), (Duration::from_secs(5), true));
        assert_eq!(patience.take(ten, false), (Duration::ZERO, true));
    }
}
