//! Decides whether and when a failed attempt is retried.

use std::time::Duration;

use crate::compile::Retry;
use windlass_world::value::FailureClass;

/// Says whether a retry may help. A rejected call would be rejected again, unless `on` names its class.
pub(super) fn is_worth_it(retry: &Retry, tries: u32, class: Option<FailureClass>) -> bool {
    let is_wanted = match class {
        Some(class) if !retry.on.is_empty() => retry.on.contains(&class),
        Some(class) => !matches!(class, FailureClass::Rejected | FailureClass::Denied),
        None => retry.on.is_empty(),
    };
    is_wanted && tries < retry.attempts
}

/// Returns the pause before a retry. It doubles from the shortest to the longest one, less a random part of up to half, so
/// that steps which failed together are not retried together.
pub(super) fn backoff(retry: &Retry, tries: u32, jitter: f64) -> Duration {
    let doubled = retry.shortest.saturating_mul(
        1_u32
            .checked_shl(tries.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    doubled
        .min(retry.longest)
        .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_longest() {
        let retry = Retry {
            attempts: 9,
            ..Retry::default()
        };
        let seconds = |tries| backoff(&retry, tries, 1.0).as_secs();
        assert_eq!([1, 2, 3, 5, 6, 40].map(seconds), [1, 2, 4, 16, 30, 30]);
        assert_eq!(backoff(&retry, 1, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let retry = Retry {
            attempts: 3,
            ..Retry::default()
        };
        assert!(is_worth_it(&retry, 1, Some(FailureClass::Throttled)));
        assert!(is_worth_it(&retry, 2, None));
        assert!(!is_worth_it(&retry, 3, None));
        assert!(!is_worth_it(&retry, 1, Some(FailureClass::Denied)));
        let only = Retry {
            on: vec![FailureClass::Conflict],
            ..retry
        };
        assert!(!is_worth_it(&only, 1, Some(FailureClass::Throttled)));
        assert!(!is_worth_it(&only, 1, None));
    }
}
