//! Decides whether a failed attempt is retried.

use windlass_compile::{Retry, RetryOn};
use windlass_world::value::FailureClass;

/// Says whether a retry may help. A rejected call would be rejected again, unless `on` names its class.
pub(super) fn is_worth_it(retry: &Retry, tries: u32, class: Option<FailureClass>) -> bool {
    let is_wanted = match (&retry.on, class) {
        (RetryOn::Any, _) | (RetryOn::Usual, None) => true,
        (RetryOn::Usual, Some(class)) => {
            !matches!(class, FailureClass::Rejected | FailureClass::Denied)
        }
        (RetryOn::Classes(classes), class) => class.is_some_and(|class| classes.contains(&class)),
    };
    is_wanted && tries < retry.attempts
}

#[cfg(test)]
mod tests {
    use super::*;

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
            on: RetryOn::Classes(vec![FailureClass::Conflict]),
            ..retry
        };
        assert!(!is_worth_it(&only, 1, Some(FailureClass::Throttled)));
        assert!(is_worth_it(&only, 1, Some(FailureClass::Conflict)));
        assert!(!is_worth_it(&only, 1, None));
        let any = Retry {
            on: RetryOn::Any,
            ..only
        };
        assert!(is_worth_it(&any, 1, Some(FailureClass::Rejected)));
        assert!(is_worth_it(&any, 1, None));
    }
}
