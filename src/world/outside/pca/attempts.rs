//! What the SDK's attempts of one call prove together.
//!
//! The SDK itself retries a request: if a CA was created and the answer was a 503, the next attempt may be rejected, and that
//! rejection proves nothing about the first one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_acmpca::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::FinalizerInterceptorContextRef,
    },
    error::{BoxError, DisplayErrorContext},
};

use super::failure::proof_of_loss;
use crate::value::Proof;

tokio::task_local! {
    static IS_IN_DOUBT: Arc<AtomicBool>;
}

/// Watches each attempt of a call that runs within [`watched`].
#[derive(Debug)]
pub(super) struct Attempts;

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let proof = match (context.response(), context.output_or_error()) {
            // A 4xx is an error of the request; the code of the last one is looked up.
            (Some(response), _) => match response.status().as_u16() {
                ..500 => Proof::NotDone,
                _ => Proof::Unknown,
            },
            (None, Some(Err(error))) => proof_of_loss(&DisplayErrorContext(error).to_string()),
            (None, _) => Proof::Unknown,
        };
        if proof == Proof::Unknown {
            // Outside of a watched call, it is not recorded.
            let _ = IS_IN_DOUBT.try_with(|doubt| doubt.store(true, Ordering::Relaxed));
        }
        Ok(())
    }
}

/// Makes a call, and returns whether one of its attempts may have succeeded although the answer does not show it.
pub(super) async fn watched<T>(call: impl Future<Output = T>) -> (T, bool) {
    let doubt = Arc::new(AtomicBool::new(false));
    let given = IS_IN_DOUBT.scope(doubt.clone(), call).await;
    (given, doubt.load(Ordering::Relaxed))
}
