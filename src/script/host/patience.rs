use std::time::Duration;

/// How long a wait lasts.
///
/// A long wait is many looks, each an effect of its own: it survives a restart, and a cancel is
/// heard. Only looks that are really made use patience up, so a resumed step, whose records are
/// replayed, waits as long again. What ends the wait is the result of its last look, so a replay
/// sees the same.
pub(super) struct Patience {
    pub whole: Duration,
    left: Duration,
}

impl Patience {
    pub fn new(whole: Duration) -> Self {
        Self { whole, left: whole }
    }

    /// Takes the time of one look, or of the pause before it. Gives what is left of it, and whether
    /// nothing is left after it.
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
