//! Passes the trace of a call on to the requests that the call sends.

use std::future::Future;

tokio::task_local! {
    static TRACEPARENT: String;
}

/// The header of W3C Trace Context.
pub(super) const TRACEPARENT_HEADER: &str = "traceparent";

/// Does some work whose requests carry this `traceparent` (W3C Trace Context, section 3.2).
pub async fn traced<T>(traceparent: String, work: impl Future<Output = T>) -> T {
    TRACEPARENT.scope(traceparent, work).await
}

/// Returns the `traceparent` of the current work; `None` if it is not traced.
pub(super) fn traceparent() -> Option<String> {
    TRACEPARENT.try_with(Clone::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_traced_work_has_a_trace() {
        assert_eq!(traceparent(), None);
        let inside = traced("00-1-2-01".into(), async { traceparent() }).await;
        assert_eq!(inside.as_deref(), Some("00-1-2-01"));
        assert_eq!(traceparent(), None);
    }
}
