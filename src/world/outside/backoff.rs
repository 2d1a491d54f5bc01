use std::{ops::RangeInclusive, time::Duration};

use windlass_ground::random_bytes;

/// Returns the pause before the next attempt, after this many failed ones. It doubles from the shortest to the longest pause, less a
/// random part of up to half, so that what failed together is not tried again together. `jitter` is a number from 0 to 1.
pub fn backoff(pauses: RangeInclusive<Duration>, failures: u32, jitter: f64) -> Duration {
    let doubled = pauses.start().saturating_mul(
        1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    doubled
        .min(*pauses.end())
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// Returns a number from 0 to 1 that spreads retries: clients that were rejected or disconnected together must not retry together.
pub fn jitter() -> f64 {
    let mut bytes = [u8::MAX; 4];
    // Without randomness, the pause has its full length.
    random_bytes(&mut bytes).unwrap_or_default();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_longest() {
        let pauses = Duration::from_secs(1)..=Duration::from_secs(30);
        let seconds = |failures| backoff(pauses.clone(), failures, 1.0).as_secs();
        assert_eq!([1, 2, 3, 5, 6, 40].map(seconds), [1, 2, 4, 16, 30, 30]);
        assert_eq!(backoff(pauses, 1, 0.0), Duration::from_millis(500));
    }
}
